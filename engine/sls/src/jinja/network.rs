//! Salt's filters for addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use minijinja::Error;
use minijinja::value::Value;
use num_bigint::BigInt;

use super::args::Args;
use super::fault::type_error;
use super::value::{self, Kind, SeqKind, kind, list, to_str};
use super::work;

/// An address, perhaps with the length of its network.
#[derive(Clone, Copy)]
struct Interface {
    address: IpAddr,
    prefix: Option<u8>,
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn parse(text: &str) -> Option<Interface> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let prefix = match prefix {
        None => None,
        Some(prefix) => Some(match prefix.parse::<u8>() {
            Ok(n) if n <= bits(address) => n,
            _ => {
                let mask: Ipv4Addr = prefix.parse().ok()?;
                let mask = u32::from(mask);
                u8::try_from(mask.leading_ones())
                    .ok()
                    .filter(|n| mask.checked_shl(u32::from(*n)).unwrap_or(0) == 0)?
            }
        }),
    };
    Some(Interface { address, prefix })
}

fn value_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

fn address_of(value: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(value & 0xffff_ffff).unwrap_or_default())),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(value)),
    }
}

fn host_bits(interface: Interface) -> u32 {
    u32::from(bits(interface.address) - interface.prefix.unwrap_or(bits(interface.address)))
}

fn first(interface: Interface) -> u128 {
    let width = host_bits(interface);
    if width >= 128 { 0 } else { value_of(interface.address) >> width << width }
}

fn holds(network: Interface, address: IpAddr) -> bool {
    let width = host_bits(network);
    address.is_ipv4() == network.address.is_ipv4()
        && (width >= 128 || value_of(address) >> width == value_of(network.address) >> width)
}

/// Python's `ipaddress` properties that the option `options='…'` asks for.
fn has_property(address: IpAddr, name: &str) -> bool {
    match (name, address) {
        ("loopback" | "lo", a) => a.is_loopback(),
        ("multicast", a) => a.is_multicast(),
        ("unspecified", a) => a.is_unspecified(),
        ("link-local" | "link_local", IpAddr::V4(a)) => a.is_link_local(),
        ("link-local" | "link_local", IpAddr::V6(a)) => a.segments()[0] & 0xffc0 == 0xfe80,
        ("private" | "priv", a) => is_private(a),
        ("public" | "pub" | "global", a) => !is_private(a),
        ("reserved", IpAddr::V4(a)) => a.octets()[0] >= 240,
        ("reserved", IpAddr::V6(a)) => a.segments()[0] < 0x100,
        _ => false,
    }
}

fn is_private(address: IpAddr) -> bool {
    const NETWORKS: [&str; 22] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/29",
        "192.0.0.170/31",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "::1/128",
        "::/128",
        "::ffff:0:0/96",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
        "2002::/16",
    ];
    NETWORKS[..21].iter().filter_map(|n| parse(n)).any(|n| holds(n, address))
}

fn matching(value: &Value, options: &str, family: Option<u8>) -> Option<Interface> {
    let found = parse(value.as_str()?)?;
    let fits = match family {
        Some(4) => found.address.is_ipv4(),
        Some(_) => found.address.is_ipv6(),
        None => true,
    };
    let wanted = options.split(',').map(str::trim).filter(|o| !o.is_empty());
    let mut any = true;
    for (i, option) in wanted.enumerate() {
        any = has_property(found.address, option) || (i > 0 && any);
        if any {
            break;
        }
    }
    (fits && any).then_some(found)
}

fn options(args: &Args) -> Result<String, Error> {
    Ok(args.text_or(0, "options", "")?.to_owned())
}

pub(super) fn is(value: &Value, args: &Args, family: Option<u8>) -> Result<Value, Error> {
    let found = matching(value, &options(args)?, family);
    Ok(Value::from(found.is_some_and(|i| i.prefix.is_none())))
}

/// `ipaddr` and its sisters: the address as it was given, if it is one; of a list, those that are.
pub(super) fn filter(value: &Value, args: &Args, family: Option<u8>) -> Result<Value, Error> {
    let options = options(args)?;
    let items = |items: &[Value]| -> Vec<Value> {
        items
            .iter()
            .filter(|v| matching(v, &options, family).is_some())
            .map(|v| Value::from(to_str(v)))
            .collect()
    };
    Ok(match kind(value) {
        Kind::Seq(seq) => list(items(&seq.snapshot())),
        _ => match matching(value, &options, family) {
            Some(_) => value.clone(),
            None => Value::from(()),
        },
    })
}

/// Salt's `network.calc_net`: the network of an address and, perhaps, a mask.
pub(super) fn calc_net(args: &Args) -> Result<Value, Error> {
    let mut text = to_str(args.need(0, "ip_addr")?);
    if let Some(mask) = args.get(1, "netmask").filter(|mask| !mask.is_none()) {
        text = format!("{text}/{}", to_str(mask));
    }
    let network = network(&Value::from(text.as_str()))
        .ok_or_else(|| type_error(format!("'{text}' does not appear to be an IPv4 or IPv6 network")))?;
    Ok(Value::from(format!("{}/{}", network.address, network.prefix.unwrap_or(bits(network.address)))))
}

/// Salt's `network.ip_in_subnet`. What is no network holds nothing.
pub(super) fn ip_in_subnet(args: &Args) -> Result<Value, Error> {
    let (address, cidr) = (args.need(0, "ip_addr")?, args.need(1, "cidr")?);
    let network =
        cidr.as_str().and_then(parse).filter(|network| value_of(network.address) == first(*network));
    let Some(network) = network else { return Ok(Value::from(false)) };
    let address = to_str(address).parse().map_err(|_| {
        type_error(format!("'{}' does not appear to be an IPv4 or IPv6 address", to_str(address)))
    })?;
    Ok(Value::from(holds(network, address)))
}

pub(super) fn ip_host(value: &Value, args: &Args) -> Result<Value, Error> {
    let options = options(args)?;
    let host = |value: &Value| {
        let found = matching(value, &options, None)?;
        let prefix = found.prefix.unwrap_or(bits(found.address));
        Some(Value::from(format!("{}/{prefix}", found.address)))
    };
    Ok(match kind(value) {
        Kind::Seq(seq) => list(seq.snapshot().iter().filter_map(host).collect()),
        _ => host(value).unwrap_or_else(|| Value::from(())),
    })
}

fn network(value: &Value) -> Option<Interface> {
    let found = parse(value.as_str()?)?;
    Some(Interface { address: address_of(first(found), found.address), ..found })
}

pub(super) fn hosts(value: &Value, _: &Args) -> Result<Value, Error> {
    let one = |value: &Value| -> Result<Vec<Value>, Error> {
        let Some(network) = network(value) else { return Ok(Vec::new()) };
        let width = host_bits(network);
        if width > 16 {
            return Err(type_error("the network has more hosts than a template may list"));
        }
        work::visit(1 << width)?;
        let start = first(network);
        let last = start + ((1u128 << width) - 1);
        let range = match width {
            0 | 1 => start..=last,
            _ if network.address.is_ipv6() => start + 1..=last,
            _ => start + 1..=last - 1,
        };
        Ok(range.map(|n| Value::from(address_of(n, network.address).to_string())).collect())
    };
    Ok(list(match kind(value) {
        Kind::Seq(seq) if seq.kind != SeqKind::Set => {
            seq.snapshot().iter().map(one).collect::<Result<Vec<_>, _>>()?.concat()
        }
        _ => one(value)?,
    }))
}

pub(super) fn size(value: &Value, _: &Args) -> Result<Value, Error> {
    let one = |value: &Value| network(value).map(|n| value::int(BigInt::from(1) << host_bits(n)));
    Ok(match kind(value) {
        Kind::Seq(seq) => list(seq.snapshot().iter().filter_map(one).collect()),
        _ => one(value).unwrap_or_else(|| Value::from(())),
    })
}

pub(super) fn wrap(value: &Value) -> Result<Value, Error> {
    let one = |value: &Value| match value.as_str().and_then(parse) {
        Some(Interface { address: IpAddr::V6(address), prefix }) => {
            let suffix = prefix.map(|p| format!("/{p}")).unwrap_or_default();
            Value::from(format!("[{address}]{suffix}"))
        }
        _ => value.clone(),
    };
    Ok(match kind(value) {
        Kind::Seq(seq) => list(seq.snapshot().iter().map(one).collect()),
        _ => one(value),
    })
}

pub(super) fn filter_by_networks(value: &Value, args: &Args) -> Result<Value, Error> {
    let networks: Vec<Interface> =
        super::value::iterate(args.need(0, "networks")?)?.iter().filter_map(network).collect();
    let keep = |values: &[Value]| -> Vec<Value> {
        values
            .iter()
            .filter(|v| {
                v.as_str().and_then(parse).is_some_and(|i| networks.iter().any(|n| holds(*n, i.address)))
            })
            .cloned()
            .collect()
    };
    Ok(match kind(value) {
        Kind::Dict(dict) => {
            let pairs = dict.snapshot();
            super::value::dict(
                pairs
                    .into_iter()
                    .map(|(k, v)| {
                        let inner = super::value::iterate(&v).unwrap_or_default();
                        (super::value::Key(k), list(keep(&inner)))
                    })
                    .collect(),
                false,
            )
        }
        _ => list(keep(&super::value::iterate(value)?)),
    })
}
