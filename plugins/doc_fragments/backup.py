"""Options that modules which talk to PostgreSQL or read artifacts share."""

from __future__ import annotations


class ModuleDocFragment:
    """`connection`: the server; `artifact`: the files; `selection`; `run`: how it is done."""

    CONNECTION = r"""
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
      - File that holds the user's password and nothing else. It is given only to a server that
        proves to know it (SCRAM).
      - Without it no password is sent.
    type: path
  sslmode:
    description:
      - How the server is known, as libpq takes it. V(verify-full) checks its certificate and
        the name in it.
      - A server without TLS takes V(disable). On a Unix socket nothing of this is used.
    type: str
    choices: [disable, require, verify-ca, verify-full]
    default: verify-full
  sslrootcert:
    description:
      - File with the certificates of the authorities that are trusted; without it libpq's own.
    type: path
  sslcert:
    description: File with the user's certificate, where that says who asks.
    type: path
  sslkey:
    description: File with its key, which only its owner may read, or root's group.
    type: path
"""

    ARTIFACT = r"""
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
      region:
        description: Region of the bucket.
        type: str
      bucket:
        description: Name of the bucket; it must exist.
        type: str
        required: true
      prefix:
        description: Names with slashes between them that all keys begin with.
        type: str
        default: ""
      credentials_folder:
        description:
          - Folder with the files C(accessKeyId) and C(secretAccessKey), and perhaps
            C(sessionToken).
        type: path
        required: true
      ca_file:
        description: Certificates that the server's is checked with; without it the usual ones.
        type: path
      path_style:
        description: Whether the bucket is named in the URL's path and not in the host's name.
        type: bool
        default: false
      sse:
        description: Server-side encryption to ask for, V(AES256) or V(aws:kms).
        type: str
  identity_file:
    description:
      - File with identities of age, as C(age-keygen) writes them; each may decrypt the artifact.
        One that is made is encrypted for the first of them if no recipients are given.
        Needs pyrage.
    type: path
  spool:
    description:
      - Folder on a local disk for the files of the dump on their way; needed for O(s3) and
        O(identity_file).
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

    RUN = r"""
options:
  jobs:
    description: How many tables or files are worked on at the same time.
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
      - Only the rows of these tables; the definitions of everything come along all the same.
      - Foreign keys are left out then, and materialized views stay empty, since they would need
        rows that may not be there.
    type: dict
    suboptions:
      schemas:
        description: Names of schemas, as they are.
        type: list
        elements: str
        default: []
      tables:
        description:
          - Tables as C(schema.table), as they are. A part with a dot or a quote in it is written as
            in SQL, in double quotes.
          - A partitioned table stands for all its partitions.
        type: list
        elements: str
        default: []
  exclude:
    description:
      - Not the rows of these tables. What is named here need not exist.
    type: dict
    suboptions:
      schemas:
        description: Names of schemas, as they are.
        type: list
        elements: str
        default: []
      tables:
        description:
          - Tables as C(schema.table), as they are. A part with a dot or a quote in it is written as
            in SQL, in double quotes.
          - A partitioned table stands for all its partitions.
        type: list
        elements: str
        default: []
"""
