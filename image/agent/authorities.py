"""Patroni accepts each authority that Kubernetes accepts.

From Python 3.13 on urllib3 has OpenSSL check certificates strictly (VERIFY_X509_STRICT): it refuses
authorities without a key usage and certificates without an authority key identifier. Both are
found in running clusters, and in authorities that users bring; Go and libpq accept them. A member
that cannot verify the API server loses the leader's lock, so the check is as before 3.13, for
requests to the API server and to other members. Names, times and signatures are verified as ever.
"""

from __future__ import annotations

import functools
import ssl


def accept_without_extensions() -> None:
    """Have urllib3, in this process, verify without the strict rules about extensions.

    urllib3 adds its own flags only where none are given (source: urllib3/util/ssl_.py,
    create_urllib3_context).
    """
    from urllib3 import connection  # noqa: PLC0415 (only where it is used)
    from urllib3.util.ssl_ import create_urllib3_context  # noqa: PLC0415

    lenient = functools.partial(create_urllib3_context, verify_flags=ssl.VerifyFlags(0))
    connection.create_urllib3_context = lenient
