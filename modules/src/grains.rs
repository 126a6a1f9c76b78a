//! What a host is: Salt's grains, by one small script.
//!
//! The keys and their values are Salt's (`salt/grains/core.py` describes them); `id` is the caller's to set, and what
//! only a minion has (`master`, `pythonversion`, `saltpath`) is not there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kstate_core::question::CannotTell;
use kstate_core::{Job, Keep, Limit, Map, Reply, Value};

/// Most of it stands in files, and one `head` reads them all; what is forked besides takes a few milliseconds.
const SCRIPT: &str = r#"s() { printf '\n== %s\n' "$1"; }
h=; read -r h </proc/sys/kernel/hostname || h=$(uname -n)
s hostname; echo "$h"
s uname; for f in ostype osrelease version; do read -r x </proc/sys/kernel/$f && echo "$x"; done; uname -m
s resolved; getent -A ahosts "$h" 2>/dev/null || { [ $? = 2 ] || getent ahosts "$h" 2>/dev/null; }
s addresses; ip -o addr show 2>/dev/null
s links; for d in /sys/class/net/*/address; do [ -r "$d" ] && read -r a <"$d" && n=${d%/address} && echo "${n##*/} $a"; done
s cpu; awk -F: '{ k = $1; sub(/[ \t]+$/, "", k); v = $2; sub(/^[ \t]+/, "", v) }
k == "processor" { n++ } k == "model name" || k == "vendor_id" || k == "cpu" || k == "Processor" { m = v } k == "flags" || k == "Features" { f = v }
END { print n; print m; print f }' /proc/cpuinfo 2>/dev/null
s id; id
s path; echo "$PATH"
s shell; echo "${SHELL:-/bin/sh}"
s zone; date +%Z
s dpkg; command -v dpkg >/dev/null && dpkg --print-architecture
s systemd; command -v systemctl >/dev/null && command -v localectl >/dev/null && systemctl --version
s selinux; command -v selinuxenabled >/dev/null && { selinuxenabled && echo True || echo False; command -v getenforce >/dev/null && getenforce; }
s virt; command -v systemd-detect-virt >/dev/null && systemd-detect-virt 2>/dev/null
s init; if [ -d /run/systemd/system ]; then echo systemd; else
i=$(tr '\000' ' ' </proc/1/cmdline 2>/dev/null); i=${i%% *}
case ${i##*/} in
init) i=$(command -v "$i" 2>/dev/null) && for x in upstart sysvinit systemd; do grep -qai "$x" "$i" 2>/dev/null && echo $x && break; done ;;
supervisord|dumb-init|tini|runit) echo "${i##*/}" ;;
my_init) echo runit ;;
esac; fi
s efi; [ -d /sys/firmware/efi ] && echo True
s disks; for d in /sys/block/*; do [ -e "$d/device" ] && echo "${d##*/}"; done
s files; cd /sys/class/dmi/id 2>/dev/null
head -c 20000 /etc/os-release /etc/lsb-release /etc/debian_version /etc/machine-id /var/lib/dbus/machine-id /proc/meminfo /proc/cmdline /proc/net/route /proc/net/ipv6_route /etc/resolv.conf /etc/default/locale /etc/locale.conf /proc/1/environ /proc/1/cgroup bios_version bios_vendor board_name product_name sys_vendor bios_date product_uuid product_serial 2>/dev/null
s end"#;

/// Asks for all grains at once.
pub fn job() -> Job {
    Job { limit: Some(Limit::of_answers(1, "the grains")), keep: Keep::Whole, ..Job::new(SCRIPT) }
}

/// The grains of a host, without `id`.
pub fn read(reply: &Reply) -> Result<Value, CannotTell> {
    if reply.overdue {
        return Err(CannotTell("the host did not tell its grains within 121 s".into()));
    }
    let text = String::from_utf8_lossy(&reply.stdout);
    let answers = Answers::of(&text);
    if !answers.sections.contains_key("end") {
        let said = String::from_utf8_lossy(&reply.stderr);
        return Err(CannotTell(format!("the host did not tell its grains: {}", said.trim())));
    }
    let mut grains = Map::new();
    system(&answers, &mut grains);
    distribution(&answers, &mut grains);
    names(&answers, &mut grains);
    addresses(&answers, &mut grains);
    hardware(&answers, &mut grains);
    login(&answers, &mut grains);
    grains.insert("saltversion", "3008.3");
    grains.insert("saltversioninfo", numbers(&[3008, 3]));
    Ok(Value::Map(grains))
}

/// The output of the script by section, and the files among it by path.
struct Answers<'a> {
    sections: BTreeMap<&'a str, Vec<&'a str>>,
    files: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Answers<'a> {
    fn of(text: &'a str) -> Self {
        let mut answers = Answers { sections: BTreeMap::new(), files: BTreeMap::new() };
        let (mut section, mut file) = ("", None);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("== ") {
                (section, file) = (name, None);
                answers.sections.insert(section, Vec::new());
            } else if let Some(path) = line.strip_prefix("==> ").and_then(|l| l.strip_suffix(" <==")) {
                file = Some(path);
                answers.files.insert(path, Vec::new());
            } else if let Some(lines) = file.and_then(|path| answers.files.get_mut(path)) {
                lines.push(line);
            } else if let Some(lines) = answers.sections.get_mut(section) {
                lines.push(line);
            }
        }
        answers
    }

    /// The lines of a section, without the empty one that parts it from the next.
    fn lines(&self, section: &str) -> impl Iterator<Item = &'a str> {
        self.sections.get(section).into_iter().flatten().copied().filter(|line| !line.is_empty())
    }

    fn line(&self, section: &str) -> &'a str {
        self.lines(section).next().unwrap_or_default()
    }

    fn file(&self, path: &str) -> impl Iterator<Item = &'a str> {
        self.files.get(path).into_iter().flatten().copied()
    }

    /// The assignments of a file that a shell could read.
    fn assignments(&self, path: &str) -> BTreeMap<&'a str, String> {
        self.file(path)
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), unquote(value.trim())))
            .collect()
    }
}

fn unquote(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')))
        .unwrap_or(value);
    inner.replace("\\\"", "\"").replace("\\$", "$").replace("\\\\", "\\")
}

fn numbers(numbers: &[i64]) -> Value {
    Value::List(numbers.iter().copied().map(Value::Int).collect())
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(items.into_iter().map(|item| item.to_string().into()).collect())
}

fn system(answers: &Answers<'_>, grains: &mut Map) {
    let mut uname = answers.lines("uname");
    for key in ["kernel", "kernelrelease", "kernelversion", "cpuarch"] {
        grains.insert(key, uname.next().unwrap_or_default());
    }
    let init = answers.line("init");
    grains.insert("init", if init.is_empty() { "unknown" } else { init });
    let mut systemd = answers.lines("systemd");
    if let Some(version) = systemd.next().and_then(|line| line.split(' ').nth(1)) {
        let mut map = Map::new();
        map.insert("version", version);
        map.insert("features", systemd.next().unwrap_or_default());
        grains.insert("systemd", map);
    }
    let mut selinux = answers.lines("selinux");
    if let Some(enabled) = selinux.next() {
        let mut map = Map::new();
        map.insert("enabled", enabled == "True");
        if let Some(enforced) = selinux.next() {
            map.insert("enforced", enforced);
        }
        grains.insert("selinux", map);
    }
    let machine_id = answers.file("/etc/machine-id").chain(answers.file("/var/lib/dbus/machine-id"));
    if let Some(id) = machine_id.map(str::trim).find(|line| !line.is_empty()) {
        grains.insert("machine_id", id);
    }
    let parameters = answers.file("/proc/cmdline").flat_map(str::split_whitespace).map(|word| {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Value::from(value.trim_matches('"'))),
            None => (word, Value::Null),
        };
        Value::List(vec![key.into(), value])
    });
    grains.insert("kernelparams", Value::List(parameters.collect()));
    grains.insert("locale_info", locale(answers));
    grains.insert("ps", "ps -efHww");
}

/// Salt tells the locale that it runs in; over SSH without one that is `en_US.UTF-8`.
fn locale(answers: &Answers<'_>) -> Map {
    let lang = ["/etc/default/locale", "/etc/locale.conf"]
        .iter()
        .find_map(|path| answers.assignments(path).remove("LANG"))
        .filter(|lang| !lang.is_empty() && !lang.starts_with("C.") && lang != "C" && lang != "POSIX");
    let lang = lang.unwrap_or_else(|| "en_US.UTF-8".into());
    let (language, encoding) = lang.split_once('.').unwrap_or((&lang, "UTF-8"));
    let mut map = Map::new();
    map.insert("defaultlanguage", language);
    map.insert("defaultencoding", encoding);
    map.insert("detectedencoding", "utf-8");
    map.insert("timezone", answers.line("zone"));
    map
}

fn distribution(answers: &Answers<'_>, grains: &mut Map) {
    let release = answers.assignments("/etc/os-release");
    let lsb = answers.assignments("/etc/lsb-release");
    let of = |key: &str| release.get(key).map(|value| value.trim().to_owned()).unwrap_or_default();
    let (id, full) = (of("ID"), of("NAME"));
    let os = os_name(&id, &full);
    let family = family(&id, &of("ID_LIKE"));
    let from_lsb = |key: &str, other: &str| lsb.get(key).cloned().unwrap_or_else(|| of(other));
    for (grain, value) in [
        ("lsb_distrib_id", from_lsb("DISTRIB_ID", "NAME")),
        ("lsb_distrib_release", from_lsb("DISTRIB_RELEASE", "VERSION_ID")),
        ("lsb_distrib_codename", from_lsb("DISTRIB_CODENAME", "VERSION_CODENAME")),
        ("lsb_distrib_description", lsb.get("DISTRIB_DESCRIPTION").cloned().unwrap_or_default()),
        ("oscodename", from_lsb("DISTRIB_CODENAME", "VERSION_CODENAME")),
    ] {
        if !value.is_empty() {
            grains.insert(grain, value);
        }
    }
    let mut osrelease = from_lsb("DISTRIB_RELEASE", "VERSION_ID");
    if osrelease.is_empty() {
        osrelease = answers.file("/etc/debian_version").next().unwrap_or_default().to_owned();
    }
    if !osrelease.is_empty() {
        let parts: Vec<&str> = osrelease.split('.').collect();
        let info = parts.iter().map(|part| part.parse::<i64>().map_or((*part).into(), Value::Int));
        grains.insert("osrelease_info", Value::List(info.collect()));
        if let Ok(major) = parts[0].parse::<i64>() {
            grains.insert("osmajorrelease", major);
        }
        let name = if ["Debian", "Raspbian", "AlmaLinux"].contains(&os.as_str()) { &os } else { &full };
        let release = if ["Ubuntu", "Pop", "NixOS"].contains(&os.as_str()) { &osrelease } else { parts[0] };
        grains.insert("osfinger", format!("{name}-{release}"));
        grains.insert("osrelease", osrelease.as_str());
    }
    let dpkg = answers.line("dpkg");
    let cpuarch = grains.get("cpuarch").cloned().unwrap_or_default();
    grains.insert("osarch", if family == "Debian" && !dpkg.is_empty() { dpkg.into() } else { cpuarch });
    grains.insert("os", os);
    grains.insert("os_family", family);
    grains.insert("osfullname", full);
}

/// Salt's short name: by the first ten letters of what is left without `Linux`.
fn os_name(id: &str, full: &str) -> String {
    const SHORT: &[(&str, &str)] = &[
        ("alibabaclo", "Alinux"),
        ("almalinux", "AlmaLinux"),
        ("amazonami", "Amazon"),
        ("arch", "Arch"),
        ("debian", "Debian"),
        ("linuxmint", "Mint"),
        ("oracleserv", "OEL"),
        ("photon", "VMware Photon OS"),
        ("raspbian", "Raspbian"),
        ("redhatente", "RedHat"),
        ("rocky", "Rocky"),
        ("scientific", "ScientificLinux"),
        ("sles", "SUSE"),
        ("void", "Void"),
    ];
    if (id, full) == ("pop", "Pop!_OS") {
        return "Pop".into();
    }
    let is_linux = |word: &str| ["gnu/linux", "linux"].contains(&word.to_lowercase().as_str());
    let words = full.split_whitespace().enumerate().filter(|(i, word)| *i == 0 || !is_linux(word));
    let name = words.map(|(_, word)| word).collect::<Vec<_>>().join(" ");
    let short: String = name.to_lowercase().chars().filter(|c| *c != ' ').take(10).collect();
    SHORT.iter().find(|(key, _)| *key == short).map_or(name, |(_, os)| (*os).to_owned())
}

/// The oldest ancestor: of Ubuntu's children too that is Debian.
fn family(id: &str, like: &str) -> String {
    let all: Vec<&str> = std::iter::once(id).chain(like.split_whitespace()).collect();
    let oldest =
        if all.contains(&"debian") || all.contains(&"ubuntu") { "debian" } else { all[all.len() - 1] };
    match oldest {
        "fedora" | "rhel" | "centos" => "RedHat".into(),
        "suse" | "opensuse" | "sles" => "Suse".into(),
        other => {
            let mut letters = other.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

fn names(answers: &Answers<'_>, grains: &mut Map) {
    let host = answers.line("hostname");
    let resolved: Vec<Vec<&str>> =
        answers.lines("resolved").map(|line| line.split_whitespace().collect()).collect();
    let canonical = resolved.first().and_then(|words| words.get(2)).copied().unwrap_or(host);
    let fqdn = if canonical.is_empty() { "localhost.localdomain" } else { canonical };
    let (short, domain) = fqdn.split_once('.').unwrap_or((fqdn, ""));
    for (key, value) in
        [("nodename", host), ("localhost", host), ("fqdn", fqdn), ("host", short), ("domain", domain)]
    {
        grains.insert(key, value);
    }
    let mut all: Vec<IpAddr> =
        resolved.iter().filter_map(|words| words.first()?.split('%').next()?.parse().ok()).collect();
    all.sort_unstable();
    all.dedup();
    grains.insert("fqdn_ip4", texts(all.iter().filter(|address| address.is_ipv4())));
    grains.insert("fqdn_ip6", texts(all.iter().filter(|address| address.is_ipv6())));
    grains.insert("fqdns", texts(Some(fqdn).filter(|fqdn| fqdn.contains('.'))));
    grains.insert("dns", dns(answers));
}

fn dns(answers: &Answers<'_>) -> Map {
    let mut dns = Map::new();
    let of = |wanted: &str| -> Vec<&str> {
        let lines = answers.file("/etc/resolv.conf").map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words = lines.filter(|words| words.first() == Some(&wanted));
        words.flat_map(|words| words[1..].to_vec()).collect()
    };
    let servers = of("nameserver");
    dns.insert("nameservers", texts(&servers));
    dns.insert("ip4_nameservers", texts(servers.iter().filter(|s| !s.contains(':'))));
    dns.insert("ip6_nameservers", texts(servers.iter().filter(|s| s.contains(':'))));
    dns.insert("domain", of("domain").first().copied().unwrap_or_default());
    for key in ["search", "sortlist", "options"] {
        dns.insert(key, texts(of(key)));
    }
    dns
}

fn addresses(answers: &Answers<'_>, grains: &mut Map) {
    let (mut v4, mut v6): (Vec<Ipv4Addr>, Vec<Ipv6Addr>) = Default::default();
    let mut interfaces: Vec<(&str, Vec<Ipv4Addr>, Vec<Ipv6Addr>)> = Vec::new();
    let mut hardware = Map::new();
    for (name, address) in answers.lines("links").filter_map(|line| line.split_once(' ')) {
        interfaces.push((name, Vec::new(), Vec::new()));
        hardware.insert(name, address);
    }
    for line in answers.lines("addresses") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, name, _, address, ..] = words[..] else { continue };
        let name = name.split('@').next().unwrap_or(name);
        let address = address.split('/').next().unwrap_or(address);
        if !interfaces.iter().any(|(known, ..)| *known == name) {
            interfaces.push((name, Vec::new(), Vec::new()));
        }
        let Some((_, four, six)) = interfaces.iter_mut().find(|(known, ..)| *known == name) else { continue };
        if let Ok(address) = address.parse() {
            four.push(address);
            v4.push(address);
        } else if let Ok(address) = address.parse() {
            six.push(address);
            v6.push(address);
        }
    }
    v4.sort_unstable();
    v4.dedup();
    v6.sort_unstable();
    v6.dedup();
    let by = |of: &dyn Fn(&[Ipv4Addr], &[Ipv6Addr]) -> Value| -> Map {
        interfaces.iter().map(|(name, four, six)| (*name, of(four, six))).collect()
    };
    grains.insert("ipv4", texts(v4));
    grains.insert("ipv6", texts(v6));
    grains.insert("ip4_interfaces", by(&|four, _| texts(four)));
    grains.insert("ip6_interfaces", by(&|_, six| texts(six)));
    let both = |four: &[Ipv4Addr], six: &[Ipv6Addr]| {
        texts(four.iter().map(ToString::to_string).chain(six.iter().map(ToString::to_string)))
    };
    grains.insert("ip_interfaces", by(&both));
    grains.insert("hwaddr_interfaces", hardware);
    let four = answers.file("/proc/net/route").find_map(gateway4);
    let six = answers.file("/proc/net/ipv6_route").find_map(gateway6);
    grains.insert("ip_gw", four.is_some() || six.is_some());
    grains.insert("ip4_gw", four.unwrap_or(Value::Bool(false)));
    grains.insert("ip6_gw", six.unwrap_or(Value::Bool(false)));
}

/// A line of `/proc/net/route` that is a default route: its gateway, or `True` without one.
fn gateway4(line: &str) -> Option<Value> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if *words.get(1)? != "00000000" || *words.get(7)? != "00000000" {
        return None;
    }
    let gateway = u32::from_str_radix(words[2], 16).ok()?;
    Some(if gateway == 0 { true.into() } else { Ipv4Addr::from(gateway.to_le_bytes()).to_string().into() })
}

fn gateway6(line: &str) -> Option<Value> {
    const REJECT: u32 = 0x200;
    let words: Vec<&str> = line.split_whitespace().collect();
    let flags = u32::from_str_radix(words.get(8)?, 16).ok()?;
    if words[1] != "00" || flags & REJECT != 0 || u128::from_str_radix(words[0], 16) != Ok(0) {
        return None;
    }
    let gateway = u128::from_str_radix(words[4], 16).ok()?;
    Some(if gateway == 0 { true.into() } else { Ipv6Addr::from(gateway).to_string().into() })
}

fn hardware(answers: &Answers<'_>, grains: &mut Map) {
    let mut cpu = answers.sections.get("cpu").into_iter().flatten().copied();
    grains.insert("num_cpus", cpu.next().and_then(|n| n.trim().parse::<i64>().ok()).unwrap_or_default());
    grains.insert("cpu_model", cpu.next().filter(|model| !model.is_empty()).unwrap_or("Unknown"));
    grains.insert("cpu_flags", texts(cpu.next().unwrap_or_default().split_whitespace()));
    let memory = |wanted: &str| -> i64 {
        let mut lines = answers.file("/proc/meminfo").filter_map(|line| line.split_once(':'));
        let kilobytes = lines.find(|(key, _)| *key == wanted).and_then(|(_, v)| v.split_whitespace().next());
        kilobytes.and_then(|n| n.parse::<i64>().ok()).unwrap_or_default() / 1024
    };
    grains.insert("mem_total", memory("MemTotal"));
    grains.insert("swap_total", memory("SwapTotal"));
    for (grain, file) in [
        ("biosversion", "bios_version"),
        ("biosvendor", "bios_vendor"),
        ("boardname", "board_name"),
        ("productname", "product_name"),
        ("manufacturer", "sys_vendor"),
        ("biosreleasedate", "bios_date"),
        ("uuid", "product_uuid"),
        ("serialnumber", "product_serial"),
    ] {
        if let Some(value) = answers.file(file).next().map(str::trim) {
            grains.insert(grain, if grain == "uuid" { value.to_lowercase() } else { value.to_owned() });
        }
    }
    let (kind, subtype) = virtualization(answers);
    grains.insert("virtual", kind);
    if let Some(subtype) = subtype {
        grains.insert("virtual_subtype", subtype);
    }
    grains.insert("efi", answers.line("efi") == "True");
    grains.insert("disks", texts(answers.lines("disks")));
    grains.insert("num_gpus", 0);
    grains.insert("gpus", Value::List(Vec::new()));
}

/// `systemd-detect-virt(1)` in Salt's words, then what containers and clouds leave to be seen.
fn virtualization(answers: &Answers<'_>) -> (&'static str, Option<&'static str>) {
    let product = answers.file("product_name").next().unwrap_or_default();
    let cgroup = answers.file("/proc/1/cgroup").collect::<Vec<_>>().join("\n");
    let (mut kind, mut subtype) = match answers.line("virt") {
        "qemu" => ("qemu", None),
        "kvm" => ("kvm", None),
        "oracle" => ("oracle", None),
        "xen" => ("xen", None),
        "bochs" => ("bochs", None),
        "uml" => ("uml", None),
        "systemd-nspawn" => ("systemd-nspawn", None),
        "vmware" => ("VMware", None),
        "microsoft" => ("VirtualPC", None),
        "amazon" => ("amazon", None),
        "lxc" | "lxc-libvirt" => ("container", Some("LXC")),
        "podman" => ("container", Some("Podman")),
        "docker" => ("container", Some("Docker")),
        _ => ("physical", None),
    };
    for (mark, name) in
        [("VirtualBox", "VirtualBox"), ("RHEV Hypervisor", "kvm"), ("oVirt Node", "kvm"), ("Google", "gce")]
    {
        if product.contains(mark) {
            kind = name;
        }
    }
    if cgroup.contains(":/lxc/") || answers.file("/proc/1/environ").any(|line| line.contains("container=lxc"))
    {
        (kind, subtype) = ("container", Some("LXC"));
    } else if [":/system.slice/docker", ":/docker/", ":/docker-ce/"].iter().any(|mark| cgroup.contains(mark))
    {
        (kind, subtype) = ("container", Some("Docker"));
    }
    (kind, subtype)
}

/// `uid=0(root) gid=0(root) groups=…`.
fn login(answers: &Answers<'_>, grains: &mut Map) {
    let id = answers.line("id");
    for (mark, number, name) in [("uid=", "uid", "username"), ("gid=", "gid", "groupname")] {
        let Some(word) = id.split_whitespace().find_map(|word| word.strip_prefix(mark)) else { continue };
        let (n, rest) = word.split_once('(').unwrap_or((word, ""));
        if let Ok(n) = n.parse::<i64>() {
            grains.insert(number, n);
        }
        grains.insert(name, rest.trim_end_matches(')'));
    }
    let path = answers.line("path");
    grains.insert("path", path);
    grains.insert("systempath", texts(path.split(':')));
    grains.insert("shell", answers.line("shell"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grains(text: &str) -> Map {
        let reply = Reply::new(0, text, "");
        match read(&reply) {
            Ok(Value::Map(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    fn text(grains: &Map, key: &str) -> String {
        grains.get(key).map(ToString::to_string).unwrap_or_default()
    }

    const DEBIAN: &str = "\n== hostname\nproc1\n\n== uname\nLinux\n6.1.0-18-amd64\n#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1\nx86_64\n\
        \n== resolved\n127.0.1.1       STREAM proc1.example.org\n127.0.1.1       DGRAM  \n127.0.1.1       RAW    \n\
        \n== addresses\n1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n\
        2: eth0@if5    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n\
        2: eth0@if5    inet6 2001:db8::10/64 scope global \\       valid_lft forever\n\
        \n== links\neth0 02:00:00:00:00:01\nlo 00:00:00:00:00:00\n\n== cpu\n2\nAMD EPYC 7501 32-Core Processor\nfpu sse2\n\
        \n== id\nuid=0(root) gid=0(root) groups=0(root)\n\n== path\n/usr/bin:/bin\n\n== shell\n/bin/bash\n\n== zone\nUTC\n\n== dpkg\namd64\n\
        \n== systemd\nsystemd 252 (252.22-1~deb12u1)\n+PAM +AUDIT\n\n== selinux\n\n== virt\nkvm\n\n== init\nsystemd\n\n== efi\n\n== disks\nsda\n\
        \n== files\n==> /etc/os-release <==\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n\
        \n==> /etc/machine-id <==\n0123456789abcdef0123456789abcdef\n\n==> /proc/meminfo <==\nMemTotal:        4039000 kB\nSwapTotal:        524000 kB\n\
        \n==> /proc/net/route <==\nIface\tDestination\tGateway\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        \n==> product_name <==\nStandard PC\n\n== end\n";

    #[test]
    fn a_debian_host_has_the_grains_that_salt_gives_it() {
        let grains = grains(DEBIAN);
        for (key, value) in [
            ("os", "Debian"),
            ("os_family", "Debian"),
            ("osfullname", "Debian GNU/Linux"),
            ("osfinger", "Debian-12"),
            ("oscodename", "bookworm"),
            ("osrelease", "12"),
            ("osrelease_info", "[12]"),
            ("osmajorrelease", "12"),
            ("osarch", "amd64"),
            ("fqdn", "proc1.example.org"),
            ("host", "proc1"),
            ("domain", "example.org"),
            ("localhost", "proc1"),
            ("fqdn_ip4", "[127.0.1.1]"),
            ("fqdn_ip6", "[]"),
            ("ipv4", "[127.0.0.1, 192.0.2.10]"),
            ("ip_interfaces", "{eth0: [192.0.2.10, 2001:db8::10], lo: [127.0.0.1]}"),
            ("ip4_gw", "192.0.2.1"),
            ("ip6_gw", "False"),
            ("mem_total", "3944"),
            ("swap_total", "511"),
            ("num_cpus", "2"),
            ("virtual", "kvm"),
            ("init", "systemd"),
            ("systemd", "{version: 252, features: +PAM +AUDIT}"),
            ("username", "root"),
            ("gid", "0"),
        ] {
            assert_eq!(text(&grains, key), value, "{key}");
        }
    }

    #[test]
    fn children_of_ubuntu_are_of_debians_family() {
        assert_eq!(family("pop", "ubuntu debian"), "Debian");
        assert_eq!(family("linuxmint", "ubuntu"), "Debian");
        assert_eq!(family("rocky", "rhel centos fedora"), "RedHat");
        assert_eq!(family("debian", ""), "Debian");
    }

    #[test]
    fn names_of_systems_are_salts_short_ones() {
        assert_eq!(os_name("ubuntu", "Ubuntu"), "Ubuntu");
        assert_eq!(os_name("linuxmint", "Linux Mint"), "Mint");
        assert_eq!(os_name("arch", "Arch Linux"), "Arch");
        assert_eq!(os_name("ol", "Oracle Linux Server"), "OEL");
        assert_eq!(os_name("rhel", "Red Hat Enterprise Linux"), "RedHat");
    }

    #[test]
    fn a_cut_answer_is_no_grains() {
        let reply = Reply::new(0, "\n== hostname\nproc1\n", "");
        assert!(read(&reply).is_err());
    }
}
