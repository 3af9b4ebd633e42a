#!/bin/sh
# Turns a minimal Debian root into a stand-in for the official postgres image:
# the same user, folders, locale, programs and settings. Argument: the major version.
set -eu
major=$1

groupadd --system --gid 999 postgres
useradd --system --gid 999 --uid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres
install -d -o postgres -g postgres /var/lib/postgresql

apt-get update -qq
apt-get upgrade -y -qq
apt-get install -y -qq --no-install-recommends locales postgresql-common
localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8
sed -i 's/#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt-get install -y -qq --no-install-recommends "postgresql-$major" zstd

echo "listen_addresses = '*'" >> "/usr/share/postgresql/$major/postgresql.conf.sample"
install -d -o postgres -g postgres -m 3777 /var/run/postgresql
install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
install -d /docker-entrypoint-initdb.d

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/* /tmp/* \
    /usr/share/doc/* /usr/share/info/* /usr/share/man/* "/usr/share/postgresql/$major/man"
