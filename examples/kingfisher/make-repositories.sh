#!/bin/sh
# Lays the repositories of the two applications, with a history that is the same on every machine.
#
#   make-repositories.sh DIR                kingfisher-process.git and kingfisher-views.git, as they are first deployed
#   make-repositories.sh DIR new-commits    five more commits for kingfisher-process.git, one with a migration
#   make-repositories.sh DIR sixth-commit   one more, which changes requirements.txt
set -eu

usage() {
    sed -n 's/^# \{0,1\}//p; /^set /q' "$0" >&2
    exit 64
}
case $#,${2:-} in 1,* | 2,new-commits | 2,sixth-commit) ;; *) usage ;; esac
mkdir -p "$1"
dir=$(cd "$1" && pwd)
app=$(cd "$(dirname "$0")/app" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing of the user's own configuration may find its way into the commits.
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME="$work" LC_ALL=C TZ=UTC
export GIT_AUTHOR_NAME='Robin Fixture' GIT_AUTHOR_EMAIL=robin@example.org
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
umask 022

# add SOURCE DATE MESSAGE PATH...: commits some of the files of an application.
add() {
    source=$1 GIT_AUTHOR_DATE=$2 GIT_COMMITTER_DATE=$2 message=$3
    export GIT_AUTHOR_DATE GIT_COMMITTER_DATE
    shift 3
    (cd "$source" && tar -cf - --exclude=__pycache__ "$@") | tar -xf - -C "$work/tree"
    git -C "$work/tree" add --all
    git -C "$work/tree" commit --quiet --message "$message"
}

start() {
    rm -rf "$work/tree"
    git init --quiet "$work/tree"
    git -C "$work/tree" symbolic-ref HEAD refs/heads/master
}

publish() {
    [ ! -e "$dir/$1.git" ] || { echo "$dir/$1.git is there already" >&2; exit 1; }
    git clone --quiet --bare "$work/tree" "$dir/$1.git"
    git --git-dir "$dir/$1.git" remote remove origin
}

first_commits() {
    start
    process=$app/kingfisher-process package=ocdskingfisherprocess
    add "$process" '2019-11-04T10:00:00Z' 'Start with the configuration' \
        .gitignore LICENSE README.md requirements.txt $package/__init__.py $package/config.py
    add "$process" '2019-11-05T14:20:00Z' 'Keep collections and items in PostgreSQL' \
        mainalembic.ini $package/database.py $package/maindatabase
    add "$process" '2019-11-11T09:45:00Z' 'Check and compile in workers' \
        ocdskingfisher-process-cli $package/cli.py $package/work.py
    add "$process" '2019-11-14T16:10:00Z' 'Take in items over HTTP' $package/web
    publish kingfisher-process

    start
    views=$app/kingfisher-views package=ocdskingfisherviews
    add "$views" '2019-11-18T11:00:00Z' 'Summarize collections' \
        .gitignore README.md requirements.txt ocdskingfisher-views-cli $package/__init__.py $package/alembic.ini \
        $package/cli.py $package/config.py $package/migrations/env.py \
        $package/migrations/versions/a41e6b09c2d8_collection_summary.py
    add "$views" '2019-12-02T15:30:00Z' 'Keep a list of further readers' \
        $package/migrations/versions/d75c13f8e604_read_only_users.py
    publish kingfisher-views
}

new_commits() {
    git clone --quiet "$dir/kingfisher-process.git" "$work/tree"
    git -C "$work/tree" am --quiet --committer-date-is-author-date "$app"/updates/*.patch
    git -C "$work/tree" push --quiet origin master
}

sixth_commit() {
    git clone --quiet "$dir/kingfisher-process.git" "$work/tree"
    mkdir "$work/sixth"
    { cat "$work/tree/requirements.txt"; echo itsdangerous; } >"$work/sixth/requirements.txt"
    add "$work/sixth" '2019-12-20T09:30:00Z' 'Sign what is queued' requirements.txt
    git -C "$work/tree" push --quiet origin master
}

case ${2:-} in
    '') first_commits ;;
    new-commits) new_commits ;;
    sixth-commit) sixth_commit ;;
esac
