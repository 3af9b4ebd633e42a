#!/usr/bin/env bash
# cronsim 2.8, which is made after Debian's cron, and github.com/robfig/cron/v3 v3.0.1, by which Kubernetes reads the
# schedule of a CronJob. Expected of "0 0 */2 * 1": the same days; Mondays and every second day, or Mondays of odd date.
# Seen: in cronsim a day of the month that begins with a star is not restricted, so both fields have to match: Mondays of
# odd date. In Kubernetes it is restricted if the step is above one, and then one of the two is enough: eight times as
# many days. Written as 1-31/2 it is restricted in both, and as */1 in neither.
# Here: schedules are read by cronsim. One that is copied from a CronJob may mean other days.
set -euo pipefail
command -v go >/dev/null || { echo "this needs Go 1.21 or newer"; exit 2; }
folder=$(mktemp -d)
clean_up() {
    # Go makes the folders of modules read-only.
    chmod -R u+w "$folder"
    rm -rf "$folder"
}
trap clean_up EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cronsim==2.8
export GOPATH="$folder/go" GOFLAGS=-mod=mod
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	schedule, err := cron.ParseStandard(os.Args[1])
	if err != nil {
		panic(err)
	}
	day := time.Date(2026, 5, 31, 12, 0, 0, 0, time.UTC)
	for i := 0; i < 6; i++ {
		day = schedule.Next(day)
		fmt.Println(day.Format("Mon 2 Jan"))
	}
}
GO
go mod init cron 2>/dev/null
go get github.com/robfig/cron/v3@v3.0.1 2>/dev/null
go build -o kubernetes .
cat > days.py <<'PYTHON'
import sys
from datetime import datetime
from itertools import islice

from cronsim import CronSim

for day in islice(CronSim(sys.argv[1], datetime(2026, 5, 31, 12)), 6):
    print(f"{day:%a} {day.day} {day:%b}")
PYTHON

# Usage: compare SCHEDULE: prints the next six days of each, and succeeds if they are the same.
compare() {
    local cronsim kubernetes
    cronsim=$(venv/bin/python days.py "$1")
    kubernetes=$(./kubernetes "$1")
    printf '%-17s cronsim:    %s\n' "$1" "$(paste -sd , <<<"$cronsim")"
    printf '%-17s Kubernetes: %s\n' "" "$(paste -sd , <<<"$kubernetes")"
    [ "$cronsim" = "$kubernetes" ]
}
compare "0 0 1-31/2 * 1" || { echo "changed: 1-31/2 is read differently"; exit 1; }
compare "0 0 */1 * 1" || { echo "changed: */1 is read differently"; exit 1; }
if compare "0 0 */2 * 1"; then
    echo "changed: */2 is read alike"
    exit 1
fi
