# shellcheck shell=bash
# The recipe of the root file systems; `sandbox setup` sources it. The hash of this folder says whether one is current.
#
# It expects SUITE, HERE, CHECKOUT, step and nspawn_once of the program, and leaves two trees: `pristine` and `full`.

recipe_words() { sed 's/#.*//' "$HERE/recipe/$1"; }

# Runs a command inside a tree, with this machine's network and its settings for proxies, pip and certificates.
inside() {
    local tree=$1 name; shift
    local pass=(--setenv=DEBIAN_FRONTEND=noninteractive --setenv=LC_ALL=C.UTF-8)
    while read -r name; do
        pass+=("--setenv=$name=${!name}")
    done < <(compgen -e | grep -iE '^(PIP_.*|https?_proxy|no_proxy)$' | grep -vx PIP_FIND_LINKS)
    for name in /etc/hosts /etc/pip.conf; do
        [ ! -f "$name" ] || pass+=("--bind-ro=$name")
    done
    name=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
    [ ! -f "$name" ] || pass+=("--bind-ro=$name:/run/ca.crt" --setenv=PIP_CERT=/run/ca.crt)
    nspawn_once "kstate-setup-$CHECKOUT-$SUITE" -D "$tree" --resolv-conf=replace-host --timezone=off "${pass[@]}" "$@"
}

recipe_make() {
    local out=$1
    step "$SUITE: the base system"
    mmdebstrap --variant=minbase --include="$(recipe_words base.txt | xargs | tr ' ' ,)" \
        --aptopt='Acquire::Retries "3"' "$SUITE" "$out/pristine" ${KSTATE_SANDBOX_MIRROR:+"$KSTATE_SANDBOX_MIRROR"}
    recipe_settings "$out/pristine"
    step "$SUITE: packages to offer"
    recipe_offer "$out/pristine"
    step "$SUITE: the full system"
    cp -a --reflink=auto "$out/pristine" "$out/full"
    recipe_install "$out/full"
    step "$SUITE: wheels"
    recipe_wheels "$out/full"
    cp -a --reflink=auto "$out/full/srv/wheels" "$out/pristine/srv/"
    recipe_finish "$out/pristine"
    recipe_finish "$out/full"
}

recipe_settings() {
    local tree=$1 unit
    mkdir -p "$tree/etc/ssh/sshd_config.d" "$tree/srv/apt" "$tree/srv/wheels"
    install -d -m 700 "$tree/root/.ssh"
    # Tests log in far more often than people.
    cat >"$tree/etc/ssh/sshd_config.d/sandbox.conf" <<-'C'
		PermitRootLogin prohibit-password
		PasswordAuthentication no
		MaxStartups 400:30:500
		MaxSessions 400
		UseDNS no
		PrintLastLog no
	C
    printf '[global]\nno-index = true\nfind-links = /srv/wheels\ndisable-pip-version-check = true\n' >"$tree/etc/pip.conf.sandbox"
    echo 'LANG=C.UTF-8' >"$tree/etc/default/locale"
    echo 'Acquire::Languages "none";' >"$tree/etc/apt/apt.conf.d/90sandbox"
    # What a throw-away host has no use for, and what would reach for a network.
    for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer \
        dpkg-db-backup.timer certbot.timer systemd-networkd.service systemd-timesyncd.service systemd-resolved.service \
        console-getty.service getty@.service getty.target; do
        ln -sfn /dev/null "$tree/etc/systemd/system/$unit"
    done
}

# Fills /srv/apt while the distribution's sources are still there, then makes it the only source.
recipe_offer() {
    local tree=$1
    # shellcheck disable=SC2046
    inside "$tree" sh -ec '
        apt-get update -q
        apt-get install -q -y --no-install-recommends --download-only "$@"
        mv /var/cache/apt/archives/*.deb /srv/apt/
    ' sh $(recipe_words offered.txt) $(recipe_words spare.txt)
    recipe_sample "$tree" 1.0
    recipe_sample "$tree" 2.0
    inside "$tree" sh -ec '
        cd /srv/apt
        apt-ftparchive packages . >Packages
        apt-ftparchive release . >/tmp/Release
        cp /tmp/Release .
    '
    rm -rf "$tree/etc/apt/sources.list.d" "$tree/var/lib/apt/lists"
    mkdir -p "$tree/etc/apt/sources.list.d" "$tree/var/lib/apt/lists/partial"
    echo 'deb [trusted=yes] file:/srv/apt ./' >"$tree/etc/apt/sources.list"
    inside "$tree" apt-get update -q
}

# A package of ours in two versions, for states that hold a version or want the latest.
recipe_sample() {
    local tree=$1 version=$2 build
    build=$tree/srv/sample
    mkdir -p "$build/DEBIAN" "$build/usr/share/sandbox-sample"
    echo "$version" >"$build/usr/share/sandbox-sample/version"
    cat >"$build/DEBIAN/control" <<-C
		Package: sandbox-sample
		Version: $version
		Architecture: all
		Maintainer: Nobody <nobody@localhost>
		Description: says which version of it is installed
	C
    inside "$tree" dpkg-deb --root-owner-group --build /srv/sample /srv/apt/
    rm -rf "$build"
}

# Services start at the boot of a copy, not here.
recipe_install() {
    local tree=$1
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod 755 "$tree/usr/sbin/policy-rc.d"
    # shellcheck disable=SC2046
    inside "$tree" env LANG=C.UTF-8 apt-get install -q -y --no-install-recommends $(recipe_words offered.txt)
    rm "$tree/usr/sbin/policy-rc.d"
}

recipe_wheels() {
    local tree=$1 line
    while read -r line; do
        # shellcheck disable=SC2086
        [ -z "$line" ] || inside "$tree" pip download -q --no-cache-dir --only-binary=:all: -d /srv/wheels $line
    done < <(recipe_words wheels.txt)
}

# What every copy gets as its own does not belong into the tree.
recipe_finish() {
    local tree=$1
    mv "$tree/etc/pip.conf.sandbox" "$tree/etc/pip.conf"
    rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/resolv.conf" "$tree"/var/cache/apt/archives/*.deb "$tree"/var/cache/apt/*.bin
    : >"$tree/etc/resolv.conf"
    : >"$tree/etc/machine-id"
    rm -rf "$tree"/tmp/* "$tree"/var/tmp/* "$tree"/var/log/journal
}
