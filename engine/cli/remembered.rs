//! Grains of the last contact, for commands that contact no host.

use std::path::{Path, PathBuf};

use kstate_core::{Map, Value, digest};

use crate::report::json;

/// Keeps the grains of a host. Failing to is no reason to stop.
pub(crate) fn store(root: &Path, target: &str, grains: &Map) {
    let Some(path) = path(root, target) else { return };
    let text = json::value(&Value::Map(grains.clone())).to_string();
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return;
    }
    let _ = path.parent().map(std::fs::create_dir_all);
    let _ = std::fs::write(path, text);
}

/// The grains of the last contact, else a stand-in, with a word about where they come from.
pub(crate) fn load(root: &Path, target: &str) -> (Map, Option<String>) {
    let read = path(root, target).and_then(|path| std::fs::read_to_string(path).ok());
    match read.and_then(|text| serde_json::from_str(&text).ok()).map(json::to_value) {
        Some(Value::Map(grains)) => (grains, Some("the grains of its last contact".into())),
        _ => (stand_in(target), Some("stand-in grains of a Debian 12 host".into())),
    }
}

fn path(root: &Path, target: &str) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache =
        std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home)?;
    let root = root.canonicalize().ok()?;
    let name = digest(format!("{}\0{target}", root.display()).as_bytes());
    Some(cache.join("kstate").join("grains").join(format!("{}.json", &name[..32])))
}

/// A host of which nothing is known is taken for one like this.
fn stand_in(target: &str) -> Map {
    let texts = [
        ("os", "Debian"),
        ("os_family", "Debian"),
        ("osfullname", "Debian GNU/Linux"),
        ("oscodename", "bookworm"),
        ("osrelease", "12"),
        ("osfinger", "Debian-12"),
        ("osarch", "amd64"),
        ("cpuarch", "x86_64"),
        ("kernel", "Linux"),
        ("init", "systemd"),
        ("host", target),
        ("nodename", target),
        ("localhost", target),
        ("fqdn", target),
        ("domain", ""),
        ("saltversion", "3008.3"),
    ];
    let mut grains: Map = texts.into_iter().collect();
    grains.insert("osmajorrelease", 12);
    grains.insert("num_cpus", 1);
    grains.insert("mem_total", 1024);
    grains.insert("swap_total", 0);
    // Addresses for documentation (RFC 5737, RFC 3849).
    for (name, address) in [("ip4", "192.0.2.1"), ("ip6", "2001:db8::1")] {
        let addresses = vec![Value::from(address)];
        grains.insert(format!("fqdn_{name}"), addresses.clone());
        grains.insert(name.replace("ip", "ipv"), addresses.clone());
        grains.insert(format!("{name}_interfaces"), Map::from_iter([("eth0", Value::List(addresses))]));
    }
    grains
}
