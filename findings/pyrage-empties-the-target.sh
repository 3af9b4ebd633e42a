#!/usr/bin/env bash
# pyrage 1.4.0, decrypt_file. Expected of a wrong key: an error, and the file of that name as it was.
# Seen: the error, and the file is empty. It is opened for writing before the key is tried.
# Here: a target is always a new file of a spool (plugins/module_utils/store/encryption.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyrage==1.4.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path
from pyrage import DecryptError, decrypt_file, encrypt_file
from pyrage.x25519 import Identity

right, wrong = Identity.generate(), Identity.generate()
Path("plain").write_text("new content")
encrypt_file("plain", "encrypted", [right.to_public()])
Path("target").write_text("what was there before")
try:
    decrypt_file("encrypted", "target", [wrong])
except DecryptError as error:
    print(f"the wrong key: {type(error).__name__}: {error}")
else:
    raise SystemExit("changed: a wrong key is no error")
size = Path("target").stat().st_size
print(f"the target had 21 bytes, and has {size}")
if size != 0:
    raise SystemExit("changed: the target is kept")
PYTHON
