"""A warm `ansible-runner`: a parent process with Ansible loaded that forks for every run.

`client` is what `ansible-runner` on PATH executes; `parent` is the process behind it. The README
says what it promises and how to switch it on and off.
"""
