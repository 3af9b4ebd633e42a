"""Options that are shared by modules which connect to PostgreSQL or read artifacts."""

from __future__ import annotations


class ModuleDocFragment:
    """`connection` and `database`: the server; `store`, `artifact` and `sha256`: the files.

    `run` is how, `selection` and `restore` are what is taken of it, and where that goes.
    """

    CONNECTION = r"""
requirements:
  - psycopg
options:
  host:
    description: Name or address of the server, or the folder of its Unix socket.
    type: str
    required: true
  port:
    description: Port of the server.
    type: int
    default: 5432
  user:
    description: A superuser.
    type: str
    required: true
  password_file:
    description:
      - File with the user's password and nothing else. It is used for SCRAM
        authentication only.
      - Without it no password is sent.
    type: path
  sslmode:
    description:
      - How the server is verified, as in libpq. V(verify-full) verifies its certificate
        and the name in it.
      - Use V(disable) for a server without TLS. It does not apply to a Unix socket.
    type: str
    choices: [disable, require, verify-ca, verify-full]
    default: verify-full
  sslrootcert:
    description:
      - File with the trusted CA certificates; without it libpq's default.
    type: path
  sslcert:
    description: File with the client certificate of the user.
    type: path
  sslkey:
    description: File with its private key, readable by its owner only, or by root's group.
    type: path
"""

    DATABASE = r"""
options:
  database:
    description: Name of the database in PostgreSQL.
    type: str
    required: true
"""

    STORE = r"""
options:
  root:
    description: Folder of the store; it must exist. Either this or O(s3).
    type: path
  s3:
    description: A bucket of an object store. Either this or O(root). Needs boto3.
    type: dict
    suboptions:
      endpoint:
        description: URL of the server, such as V(https://s3.example.com); without it Amazon S3.
        type: str
      proxy:
        description: URL of the HTTP proxy to reach the server by; without it directly.
        type: str
      region:
        description: Region of the bucket.
        type: str
      bucket:
        description: Name of the bucket; it must exist.
        type: str
        required: true
      prefix:
        description: A prefix of all keys, names with slashes between them.
        type: str
        default: ""
      credentials_folder:
        description:
          - Folder with the files C(accessKeyId) and C(secretAccessKey), and optionally
            C(sessionToken).
        type: path
        required: true
      ca_file:
        description: CA certificates to verify the server with; without it those of the system.
        type: path
      path_style:
        description: Path-style addressing, with the bucket in the URL's path, not in the host name.
        type: bool
        default: false
      sse:
        description: Server-side encryption to request, V(AES256) or V(aws:kms).
        type: str
  identity_file:
    description:
      - File with age private keys (identities), as C(age-keygen) writes them; each is tried to
        decrypt the artifact. A new artifact is encrypted for the first of them if no recipients
        are given.
        Needs pyrage.
    type: path
"""

    ARTIFACT = r"""
options:
  spool:
    description:
      - Folder on a local disk for files that are being uploaded, downloaded or encrypted; needed
        for O(s3) and O(identity_file).
    type: path
  namespace:
    description: Namespace of the Database resource.
    type: str
    required: true
  resource:
    description: Name of the Database resource.
    type: str
    required: true
  uid:
    description: UID of the Backup resource.
    type: str
    required: true
"""

    SHA256 = r"""
options:
  sha256:
    description: SHA-256 that the manifest must have, as the Backup's status recorded it.
    type: str
"""

    RESTORE = r"""
options:
  restore_uid:
    description:
      - UID of the Restore resource, or any other name for this one restore, of 8 to 63 characters.
    type: str
    required: true
  keep_previous_seconds:
    description: How long the replaced database is kept; V(0) drops it at once.
    type: int
    default: 86400
"""

    RUN = r"""
options:
  jobs:
    description: How many tables or files to process in parallel.
    type: int
    default: 1
  progress_file:
    description:
      - A line is appended here whenever a step begins or ends.
      - C(/proc/1/fd/1) is the log of a container.
    type: path
"""

    SELECTION = r"""
options:
  include:
    description:
      - Only the rows of these tables, with the definitions of all objects.
      - Foreign keys are then left out, and materialized views stay empty, since they may need rows
        that are missing.
    type: dict
    suboptions: &names
      schemas:
        description: Names of schemas, as in the database.
        type: list
        elements: str
        default: []
      tables:
        description:
          - Tables as C(schema.table), as in the database. A part with a dot or a quote in it
            is written as in SQL, in double quotes.
          - A partitioned table stands for all its partitions.
        type: list
        elements: str
        default: []
  exclude:
    description:
      - Leave out the rows of these tables. They need not exist.
    type: dict
    suboptions: *names
"""
