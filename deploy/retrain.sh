#!/bin/sh
# Retrain every night, by cron: 15 3 * * * TABLE=/srv/films.csv MODEL=/srv/cofactor/films.cofactor /opt/cofactor/retrain.sh
# The server sees the new bundle by itself, tries it, and gives it the newer ratings; where it is of no use the old one stays.
set -eu
: "${TABLE:?the table to learn from}" "${MODEL:?the bundle that is served}"
cofactor=${COFACTOR:-cofactor}
"$cofactor" fit "$TABLE" --model "${KIND:-auto}" --out "$MODEL"
"$cofactor" info "$MODEL" --verify >/dev/null
