"""python -m kubectl_postgres"""

from .program import main

main()
