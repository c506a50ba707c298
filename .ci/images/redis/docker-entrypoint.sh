#!/usr/bin/env bash
# Options and *.conf files are given to redis-server, which runs as the user redis; any other
# command runs as it is.
set -euo pipefail

if [[ $# = 0 || ${1:-} = -* || ${1:-} = *.conf ]]; then
    set -- redis-server "$@"
fi

if [[ $1 = redis-server ]]; then
    # Debian's Redis answers only its own host until a password is set; the official image is
    # built to answer all. First in line, so that an explicit setting after it wins.
    shift
    config=()
    if [[ ${1:-} = *.conf ]]; then
        config=("$1")
        shift
    fi
    case "$*" in
        -v | --version | -h | --help) set -- redis-server "$@" ;;
        *) set -- redis-server "${config[@]}" --protected-mode no "$@" ;;
    esac
    if [[ $(id -u) = 0 ]]; then
        # A bind mount belongs to whoever made it on the host.
        find . \! -user redis -exec chown redis '{}' +
        set -- setpriv --reuid=redis --regid=redis --clear-groups "$@"
    fi
fi
exec "$@"
