//! The filters of Jinja2 and of Salt.

use minijinja::value::Value;
use minijinja::{Error, State};
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed};

use super::args::Args;
use super::dump::{self, Flow};
use super::fault::{fault, type_error, within};
use super::json::{self, Style};
use super::value::{
    self, Key, Kind, Number, SeqKind, Undef, equal, is_undefined, iterate, kind, len, list, number, order,
    solid, to_str, truth, tuple, what,
};
use super::{dates, digests, lines, methods, network, ops, regex, root, work};
use crate::limits;

type Filter = fn(&mut State<'_, '_>, &Value, &Args) -> Result<Value, Error>;

/// By name, sorted. A filter's arguments come without its subject.
const FILTERS: &[(&str, Filter)] = &[
    ("abs", |_, v, _| match number(v) {
        Some(Number::Int(n)) => Ok(value::int(n.abs())),
        Some(Number::Float(n)) => Ok(Value::from(n.abs())),
        None => Err(type_error(format!("a number is needed, not {}", what(v)))),
    }),
    ("append_dict_key_value", |_, v, a| {
        nested(v, a, |old, new| {
            let mut items = old.map(iterate).transpose()?.unwrap_or_default();
            items.push(new.clone());
            Ok(list(items))
        })
    }),
    ("attr", |_, v, a| {
        let name = a.text(0, "name")?;
        if methods::has(v, name) {
            return Ok(Value::from_object(value::Bound { of: v.clone(), name: name.to_owned() }));
        }
        let found = if matches!(kind(v), Kind::Other) { v.get_attr(name)? } else { Value::UNDEFINED };
        Ok(if found.is_undefined() { ops::missing(v, name, "").into() } else { found })
    }),
    ("avg", |_, v, _| {
        if !matches!(kind(v), Kind::Seq(_) | Kind::Dict(_)) {
            return Ok(Value::from(
                to_float(v).ok_or_else(|| type_error("a number or a list of numbers is needed"))?,
            ));
        }
        let items = iterate(v)?;
        let total = items.iter().map(|i| number(i).map(|n| n.float())).sum::<Option<f64>>();
        match total {
            Some(total) if !items.is_empty() => Ok(Value::from(total / items.len() as f64)),
            Some(_) => Err(type_error("division by zero")),
            None => Err(type_error("a list of numbers is needed")),
        }
    }),
    ("base64_decode", |_, v, _| {
        let bytes =
            digests::base64_decode(&bytes_of(v)).ok_or_else(|| type_error("the text is not base64"))?;
        Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()))
    }),
    ("base64_encode", |_, v, _| Ok(Value::from(base64(&bytes_of(v))))),
    ("batch", |_, v, a| {
        let size = usize::try_from(a.int(0, "linecount")?).ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
        let mut rows: Vec<Vec<Value>> =
            iterate(v)?.chunks(size.min(limits::LIST)).map(<[Value]>::to_vec).collect();
        if let (Some(fill), Some(last)) = (a.get(1, "fill_with").filter(|f| !f.is_none()), rows.last_mut()) {
            work::list_of(size)?;
            last.resize(size, fill.clone());
        }
        Ok(list(rows.into_iter().map(list).collect()))
    }),
    ("capitalize", |_, v, _| Ok(Value::from(methods::capitalize(&soft(v))))),
    ("center", |_, v, a| {
        let width = usize::try_from(a.int_or(0, "width", 80)?).unwrap_or_default();
        work::grow("", width)?;
        ops::text(methods::justify(&soft(v), width, ' ', "center"))
    }),
    ("check_whitelist_blacklist", |_, v, a| {
        let fits = |name: &str| -> Result<Option<bool>, Error> {
            match a.keyword(name).filter(|v| !v.is_none()) {
                None => Ok(None),
                Some(list) => {
                    let patterns = match list.as_str() {
                        Some(text) => vec![Value::from(text)],
                        None => iterate(list)?,
                    };
                    Ok(Some(patterns.iter().any(|p| kstate_core::fnmatch(&to_str(v), &to_str(p)))))
                }
            }
        };
        let (white, black) = (fits("whitelist")?, fits("blacklist")?);
        Ok(Value::from(white.unwrap_or(true) && !black.unwrap_or(false)))
    }),
    ("combinations", |_, v, a| combinations(v, a, false)),
    ("combinations_with_replacement", |_, v, a| combinations(v, a, true)),
    ("compare_dicts", |_, v, a| {
        let (Some(old), Some(new)) = (value::pairs(v), value::pairs(a.need(0, "new")?)) else {
            return Err(type_error("compare_dicts needs two mappings"));
        };
        let mut entries = value::Entries::new();
        let find = |pairs: &[(Value, Value)], key: &Value| {
            pairs.iter().find(|(k, _)| equal(k, key)).map(|(_, v)| v.clone())
        };
        for (key, _) in old.iter().chain(&new) {
            let (before, after) = (find(&old, key), find(&new, key));
            let same = matches!((&before, &after), (Some(a), Some(b)) if equal(a, b));
            if !same {
                let empty = || Value::from("");
                let change = value::dict_of_text([
                    ("old", before.unwrap_or_else(empty)),
                    ("new", after.unwrap_or_else(empty)),
                ]);
                entries.insert(Key::new(key)?, change);
            }
        }
        Ok(value::dict(entries, false))
    }),
    ("compare_lists", |_, v, a| {
        let (old, new) = (iterate(v)?, iterate(a.need(0, "new")?)?);
        let without = |from: &[Value], of: &[Value]| -> Vec<Value> {
            from.iter().filter(|x| !of.iter().any(|y| equal(x, y))).cloned().collect()
        };
        let (added, removed) = (without(&new, &old), without(&old, &new));
        let mut parts = Vec::new();
        if !added.is_empty() {
            parts.push(("new", list(added)));
        }
        if !removed.is_empty() {
            parts.push(("old", list(removed)));
        }
        Ok(value::dict_of_text(parts))
    }),
    ("compress", |_, v, a| {
        let mut kept = Vec::new();
        for (item, selector) in iterate(v)?.into_iter().zip(iterate(a.need(0, "selectors")?)?) {
            if truth(&selector)? {
                kept.push(item);
            }
        }
        Ok(list(kept))
    }),
    ("contains_whitespace", |_, v, _| Ok(Value::from(soft(v).contains(methods::is_space)))),
    ("count", |_, v, _| len(v).map(Value::from)),
    ("d", default),
    ("date_format", |_, v, a| dates::filter(v, a)),
    ("default", default),
    ("dict_to_sls_yaml_params", |_, v, a| {
        let flow = if a.flag(0, "flow_style", false)? { Flow::Always } else { Flow::Never };
        let pairs = value::pairs(v).ok_or_else(|| type_error("a mapping is needed"))?;
        let items = pairs
            .into_iter()
            .map(|(k, item)| Ok(value::dict([(Key::new(&k)?, item)].into_iter().collect(), false)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Value::from(dump::dump(&list(items), flow)?.trim()))
    }),
    ("dictsort", |_, v, a| {
        let sensitive = a.flag(0, "case_sensitive", false)?;
        let at = match a.text_or(1, "by", "key")? {
            "key" => 0,
            "value" => 1,
            _ => return Err(type_error("you can only sort by either \"key\" or \"value\"")),
        };
        let reverse = a.flag(2, "reverse", false)?;
        let pairs =
            value::pairs(v).ok_or_else(|| type_error(format!("a mapping is needed, not {}", what(v))))?;
        let keyed = pairs
            .into_iter()
            .map(|(k, item)| {
                let part = if at == 0 { &k } else { &item };
                (if sensitive { part.clone() } else { ignoring_case(part) }, tuple(vec![k, item]))
            })
            .collect();
        Ok(list(methods::sorted_pairs(keyed, reverse)?.into_iter().map(|(_, pair)| pair).collect()))
    }),
    ("difference", |_, v, a| {
        let (one, other) = (iterate(v)?, iterate(a.need(0, "lst2")?)?);
        sets(v, one.into_iter().filter(|x| !other.iter().any(|y| equal(x, y))).collect())
    }),
    ("dns_check", |_, _, _| Err(not_here("dns_check"))),
    ("e", escape),
    ("escape", escape),
    ("exactly_n_true", |_, v, a| {
        let wanted = a.int_or(0, "amount", 1)?;
        exactly(v, wanted)
    }),
    ("exactly_one_true", |_, v, _| exactly(v, 1)),
    ("extend_dict_key_value", |_, v, a| {
        nested(v, a, |old, new| {
            let mut items = old.map(iterate).transpose()?.unwrap_or_default();
            items.extend(iterate(new)?);
            Ok(list(items))
        })
    }),
    ("file_hashsum", |_, _, _| Err(not_here("file_hashsum"))),
    ("filesizeformat", |_, v, a| {
        let bytes = to_float(v).ok_or_else(|| type_error("a number is needed"))?;
        let binary = a.flag(0, "binary", false)?;
        let base: f64 = if binary { 1024.0 } else { 1000.0 };
        if bytes == 1.0 {
            return Ok(Value::from("1 Byte"));
        }
        if bytes < base {
            return Ok(Value::from(format!("{} Bytes", bytes.trunc())));
        }
        let units = if binary {
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
        } else {
            ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
        };
        let mut scaled = bytes / base;
        let mut unit = 0;
        while scaled >= base && unit < 7 {
            scaled /= base;
            unit += 1;
        }
        Ok(Value::from(format!("{scaled:.1} {}", units[unit])))
    }),
    ("filter_by_networks", |_, v, a| network::filter_by_networks(v, a)),
    ("first", |_, v, _| {
        Ok(iterate(v)?
            .into_iter()
            .next()
            .unwrap_or_else(|| Undef::value("No first item, sequence was empty.", Vec::new())))
    }),
    ("flatten", |_, v, a| {
        let levels = a.get(0, "levels").and_then(number).map_or(-1, |n| n.float() as i64);
        let keep_nulls = a.flag(1, "preserve_nulls", false)?;
        let mut out = Vec::new();
        flatten(v, levels, keep_nulls, 0, &mut out)?;
        Ok(list(out))
    }),
    ("float", |_, v, a| {
        Ok(to_float(v)
            .map_or_else(|| a.get(0, "default").cloned().unwrap_or_else(|| Value::from(0.0)), Value::from))
    }),
    ("forceescape", escape),
    ("format", |_, v, a| {
        let values = if a.keywords.is_empty() {
            tuple(a.positional.clone())
        } else {
            value::dict(
                a.keywords.iter().map(|(k, v)| (Key(Value::from(k.as_str())), v.clone())).collect(),
                false,
            )
        };
        ops::text(super::format::percent(&soft(v), &values)?)
    }),
    ("from_entries", |_, v, _| {
        let mut entries = value::Entries::new();
        for entry in iterate(v)? {
            let find = |names: [&str; 6]| -> Option<Value> {
                names.iter().find_map(|n| match kind(&entry) {
                    Kind::Dict(dict) => dict.get(n),
                    _ => None,
                })
            };
            let key = find(["key", "k", "name", "Key", "K", "Name"]).unwrap_or_default();
            let item = find(["value", "v", "Value", "V", "value", "v"]).unwrap_or_else(|| Value::from(()));
            entries.insert(Key::new(&key)?, item);
        }
        Ok(value::dict(entries, false))
    }),
    ("gen_mac", |_, _, _| Err(random("gen_mac"))),
    ("get_uid", |_, _, _| Err(not_here("get_uid"))),
    ("groupby", |_, v, a| {
        let path = a.need(0, "attribute")?;
        let default = a.get(1, "default").filter(|d| !d.is_none());
        let sensitive = a.flag(2, "case_sensitive", false)?;
        let key = |item: &Value| -> Result<Value, Error> {
            let found = part(item, path, default)?;
            Ok(if sensitive { found } else { ignoring_case(&found) })
        };
        let items = methods::sorted(iterate(v)?, false, key)?;
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for item in items {
            let found = key(&item)?;
            match groups.last_mut() {
                Some((last, members)) if equal(last, &found) => members.push(item),
                _ => groups.push((found, vec![item])),
            }
        }
        Ok(list(
            groups
                .into_iter()
                .map(|(key, members)| {
                    // The printed key is the first member's own, whatever its case.
                    let own = members.first().and_then(|m| part(m, path, default).ok()).unwrap_or(key);
                    value::seq(SeqKind::Group, vec![own, list(members)])
                })
                .collect(),
        ))
    }),
    ("hmac", |_, v, a| {
        let made = digests::hmac_sha256(a.text(0, "shared_secret")?.as_bytes(), &bytes_of(v));
        Ok(Value::from(base64(&made) == a.text(1, "challenge_hmac")?))
    }),
    ("hmac_compute", |_, v, a| {
        Ok(Value::from(digests::hex(&digests::hmac_sha256(
            a.text(0, "shared_secret")?.as_bytes(),
            &bytes_of(v),
        ))))
    }),
    ("http_query", |_, _, _| {
        Err(fault(
            minijinja::ErrorKind::InvalidOperation,
            "`http_query` is refused: templates do not reach into the network",
            vec!["ask the host: `salt['cmd.run']('curl …')`".to_owned()],
        ))
    }),
    ("human_to_bytes", |_, v, a| {
        let text = to_str(v);
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let size: f64 = text[..split].parse().unwrap_or_default();
        let unit = text[split..].trim();
        let unit = if unit.is_empty() { a.text_or(0, "default_unit", "B")? } else { unit }.to_uppercase();
        let iec = a.flag(9, "handle_metric", false)? && !unit.contains('I') && unit.len() == 2;
        let base: f64 = if iec { 1000.0 } else { 1024.0 };
        let power = "BKMGTPEZY".find(unit.chars().next().unwrap_or('B')).unwrap_or_default();
        Ok(Value::from((size * base.powi(i32::try_from(power).unwrap_or_default())) as i64))
    }),
    ("indent", |_, v, a| indent_text(&soft(v), a).map(Value::from)),
    ("int", |_, v, a| {
        let base = u32::try_from(a.int_or(1, "base", 10)?).unwrap_or(10);
        Ok(to_int(v, base)
            .map_or_else(|| a.get(0, "default").cloned().unwrap_or_else(|| Value::from(0)), value::int))
    }),
    ("intersect", |_, v, a| {
        let (one, other) = (iterate(v)?, iterate(a.need(0, "lst2")?)?);
        sets(v, one.into_iter().filter(|x| other.iter().any(|y| equal(x, y))).collect())
    }),
    ("ip_host", |_, v, a| network::ip_host(v, a)),
    ("ipaddr", |_, v, a| network::filter(v, a, None)),
    ("ipv4", |_, v, a| network::filter(v, a, Some(4))),
    ("ipv6", |_, v, a| network::filter(v, a, Some(6))),
    ("ipwrap", |_, v, _| network::wrap(v)),
    ("is_bin_file", |_, _, _| Err(not_here("is_bin_file"))),
    ("is_empty", |_, _, _| Err(not_here("is_empty"))),
    ("is_hex", |_, v, _| {
        Ok(Value::from(
            !soft(v).is_empty() && i128::from_str_radix(soft(v).trim_start_matches("0x"), 16).is_ok(),
        ))
    }),
    ("is_ip", |_, v, a| network::is(v, a, None)),
    ("is_ipv4", |_, v, a| network::is(v, a, Some(4))),
    ("is_ipv6", |_, v, a| network::is(v, a, Some(6))),
    ("is_iter", |_, v, _| Ok(Value::from(matches!(kind(v), Kind::Seq(_) | Kind::Dict(_))))),
    ("is_list", |_, v, _| Ok(Value::from(matches!(kind(v), Kind::Seq(seq) if seq.kind == SeqKind::List)))),
    ("is_text_file", |_, _, _| Err(not_here("is_text_file"))),
    ("items", |_, v, _| {
        if is_undefined(v) {
            return Ok(list(Vec::new()));
        }
        let pairs = value::pairs(v).ok_or_else(|| type_error("Can only get item pairs from a mapping."))?;
        Ok(list(pairs.into_iter().map(|(k, v)| tuple(vec![k, v])).collect()))
    }),
    ("join", |_, v, a| {
        let separator = a.get(0, "d").map(to_str).unwrap_or_default();
        let attribute = a.get(1, "attribute").filter(|a| !a.is_none());
        let mut out = String::new();
        for (i, item) in iterate(v)?.iter().enumerate() {
            if i > 0 {
                work::grow(&out, separator.len())?;
                out.push_str(&separator);
            }
            let item = match attribute {
                Some(attribute) => part(item, attribute, None)?,
                None => item.clone(),
            };
            ops::printable(&item)?;
            let text = to_str(&item);
            work::grow(&out, text.len())?;
            out.push_str(&text);
        }
        ops::text(out)
    }),
    ("json", |_, v, a| {
        if let Some(undefined) = inner_undefined(v) {
            return Ok(undefined);
        }
        let style = Style {
            sort_keys: a.flag(0, "sort_keys", true)?,
            indent: indent_of(a.get(1, "indent"))?,
            ascii: false,
        };
        json::dump(v, &style).map(Value::from_safe_string)
    }),
    ("json_decode_dict", |_, v, _| Ok(v.clone())),
    ("json_decode_list", |_, v, _| Ok(v.clone())),
    ("json_encode_dict", |_, v, _| Ok(v.clone())),
    ("json_encode_list", |_, v, _| Ok(v.clone())),
    ("json_query", |_, _, _| {
        Err(fault(
            minijinja::ErrorKind::InvalidOperation,
            "the filter `json_query` (JMESPath) is not supported",
            vec!["use `selectattr`, `map(attribute=…)` or `traverse`".to_owned()],
        ))
    }),
    ("last", |_, v, _| {
        Ok(iterate(v)?.pop().unwrap_or_else(|| Undef::value("No last item, sequence was empty.", Vec::new())))
    }),
    ("length", |_, v, _| len(v).map(Value::from)),
    ("list", |_, v, _| iterate(v).map(list)),
    ("list_files", |_, _, _| Err(not_here("list_files"))),
    ("load_json", |_, v, _| {
        let text = v.as_str().ok_or_else(|| type_error(format!("text is needed, not {}", what(v))))?;
        json::load(text)
            .map(|v| value::from_plain(&v))
            .map_err(|e| type_error(format!("the text cannot be read as JSON: {e}")))
    }),
    ("load_text", |_, v, _| Ok(v.clone())),
    ("load_yaml", |_, v, _| match v.as_str() {
        Some(text) => super::load::yaml_text(text),
        None => Ok(v.clone()),
    }),
    ("lower", |_, v, _| Ok(Value::from(soft(v).to_lowercase()))),
    ("mac_str_to_bytes", |_, v, _| {
        let text: String = soft(v).chars().filter(char::is_ascii_hexdigit).collect();
        Ok(Value::from_bytes(
            (0..text.len() / 2)
                .filter_map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok())
                .collect(),
        ))
    }),
    ("map", map),
    ("max", |_, v, a| extreme(v, a, std::cmp::Ordering::Greater)),
    ("md5", |_, v, _| Ok(Value::from(digests::md5(&bytes_of(v))))),
    ("method_call", |state, v, a| {
        let name = a.text(0, "f_name")?;
        if methods::has(v, name) { methods::call(state, v, name, &a.rest(1)) } else { Ok(Value::from(())) }
    }),
    ("min", |_, v, a| extreme(v, a, std::cmp::Ordering::Less)),
    ("mysql_to_dict", |_, v, a| {
        let key = a.text(0, "key")?;
        let mut entries = value::Entries::new();
        let mut headers: Vec<String> = Vec::new();
        for line in iterate(v)? {
            let line = to_str(&line);
            if !line.starts_with('|') {
                continue;
            }
            let cells: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
            let cells = cells.get(1..cells.len().saturating_sub(1)).unwrap_or_default().to_vec();
            if headers.is_empty() {
                headers = cells;
                continue;
            }
            let row: Vec<(&str, Value)> = headers
                .iter()
                .map(String::as_str)
                .zip(cells.iter().map(|cell| to_number(&Value::from(cell.as_str()))))
                .collect();
            if let Some((_, name)) = row.iter().find(|(k, _)| *k == key) {
                entries.insert(Key::new(name)?, value::dict_of_text(row.clone()));
            }
        }
        Ok(value::dict(entries, false))
    }),
    ("network_hosts", |_, v, a| network::hosts(v, a)),
    ("network_size", |_, v, a| network::size(v, a)),
    ("path_join", |_, v, a| {
        let mut path = soft(v);
        for part in &a.positional {
            path = super::calls::path_join(&path, &to_str(part));
        }
        Ok(Value::from(path))
    }),
    ("permutations", |_, v, a| {
        let items = iterate(v)?;
        let size = a.get(0, "r").and_then(number).map_or(items.len(), |n| n.float() as usize);
        if size > 50 && size <= items.len() {
            return Err(type_error("the size is out of range"));
        }
        let mut out = Vec::new();
        permute(&items, size, &mut Vec::new(), &mut out)?;
        Ok(list(out))
    }),
    ("pprint", |_, v, _| Ok(Value::from(value::repr(v)))),
    ("product", |_, v, a| {
        let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
        let pools = std::iter::once(v).chain(&a.positional).map(iterate).collect::<Result<Vec<_>, _>>()?;
        for pool in pools {
            if rows.len().saturating_mul(pool.len()) > 100_000 {
                return Err(type_error("the product becomes too long"));
            }
            work::visit(rows.iter().map(|row| row.len() + 1).sum::<usize>().saturating_mul(pool.len()))?;
            rows = rows
                .iter()
                .flat_map(|row| pool.iter().map(move |i| [row.as_slice(), std::slice::from_ref(i)].concat()))
                .collect();
        }
        Ok(list(rows.into_iter().map(tuple).collect()))
    }),
    ("python", |_, v, _| Ok(Value::from(value::repr(v)))),
    ("quote", |_, v, _| {
        let text = v.as_str().ok_or_else(|| type_error(format!("text is needed, not {}", what(v))))?;
        Ok(Value::from(shell_quote(text)))
    }),
    ("rand_str", |_, _, _| Err(random("rand_str"))),
    // By chance which, but for a host always the same: what changes from run to run could never be up to date.
    ("random", |state, v, _| {
        let (items, root) = (iterate(v)?, root::root(state)?);
        let digest = digests::sha256(format!("{}\n{}", root.data.id, value::repr(v)).as_bytes());
        let number = usize::from_str_radix(&digest[..12], 16).unwrap_or_default();
        let chosen = number.checked_rem(items.len()).and_then(|at| items.get(at).cloned());
        Ok(chosen.unwrap_or_else(|| Undef::value("No random item, sequence was empty.", Vec::new())))
    }),
    ("random_hash", |_, _, _| Err(random("random_hash"))),
    ("random_sample", |_, _, _| Err(random("random_sample"))),
    ("random_shuffle", |_, _, _| Err(random("random_shuffle"))),
    ("random_str", |_, _, _| Err(random("random_str"))),
    ("regex_escape", |_, v, _| {
        let mut out = String::new();
        for c in soft(v).chars() {
            if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        Ok(Value::from(out))
    }),
    ("regex_match", |_, v, a| regex::groups(v, a, true)),
    ("regex_replace", |_, v, a| regex::replace(v, a)),
    ("regex_search", |_, v, a| regex::groups(v, a, false)),
    ("reject", |state, v, a| select(state, v, a, false)),
    ("rejectattr", |state, v, a| select_by_attribute(state, v, a, false)),
    ("replace", |_, v, a| {
        let (old, new) = (to_str(a.need(0, "old")?), to_str(a.need(1, "new")?));
        let count = a.int_or(2, "count", -1)?;
        let text = soft(v);
        ops::text(methods::replace(&text, &old, &new, count)?)
    }),
    ("reverse", |_, v, _| match kind(v) {
        Kind::Str(text) => Ok(Value::from(text.chars().rev().collect::<String>())),
        _ => {
            let mut items = iterate(v)?;
            items.reverse();
            Ok(list(items))
        }
    }),
    ("round", |_, v, a| {
        let precision = a.int_or(0, "precision", 0)?;
        let method = a.text_or(1, "method", "common")?;
        let n = number(v).ok_or_else(|| type_error(format!("a number is needed, not {}", what(v))))?;
        let places = usize::try_from(precision).unwrap_or_default().min(300);
        Ok(match (method, n) {
            ("common", Number::Int(n)) if precision >= 0 => value::int(n),
            ("common", n) if precision >= 0 => {
                Value::from(format!("{:.places$}", n.float()).parse::<f64>().unwrap_or(n.float()))
            }
            ("common", n) => {
                let unit = 10f64.powi(i32::try_from(-precision).unwrap_or(300));
                Value::from((n.float() / unit).round_ties_even() * unit)
            }
            ("ceil" | "floor", n) => {
                let unit = 10f64.powi(i32::try_from(precision).unwrap_or(300));
                let scaled = n.float() * unit;
                Value::from(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / unit)
            }
            _ => return Err(type_error("method must be common, ceil or floor")),
        })
    }),
    ("safe", |_, v, _| Ok(v.clone())),
    ("select", |state, v, a| select(state, v, a, true)),
    ("selectattr", |state, v, a| select_by_attribute(state, v, a, true)),
    ("sequence", |_, v, _| {
        Ok(if matches!(kind(v), Kind::Seq(_) | Kind::Dict(_)) { v.clone() } else { list(vec![v.clone()]) })
    }),
    ("set_dict_key_value", |_, v, a| nested(v, a, |_, new| Ok(new.clone()))),
    ("sha1", |_, v, _| Ok(Value::from(digests::sha1(&bytes_of(v))))),
    ("sha256", |_, v, _| Ok(Value::from(digests::sha256(&bytes_of(v))))),
    ("sha512", |_, v, _| Ok(Value::from(digests::sha512(&bytes_of(v))))),
    ("skip", |_, _, _| Ok(Value::from(""))),
    ("slice", |_, v, a| {
        let items = iterate(v)?;
        let columns = usize::try_from(a.int(0, "slices")?)
            .ok()
            .filter(|n| *n > 0 && *n <= 10_000)
            .ok_or_else(|| type_error("a number of slices is needed"))?;
        let fill = a.get(1, "fill_with").filter(|f| !f.is_none());
        let (each, more) = (items.len() / columns, items.len() % columns);
        let mut rest = items.into_iter();
        let rows = (0..columns).map(|i| {
            let mut row: Vec<Value> = rest.by_ref().take(each + usize::from(i < more)).collect();
            if let Some(fill) = fill.filter(|_| more > 0 && i >= more) {
                row.push(fill.clone());
            }
            list(row)
        });
        Ok(list(rows.collect()))
    }),
    ("sort", |_, v, a| {
        let reverse = a.flag(0, "reverse", false)?;
        let sensitive = a.flag(1, "case_sensitive", false)?;
        let attribute = a.get(2, "attribute").filter(|a| !a.is_none());
        let items = methods::sorted(iterate(v)?, reverse, |item| {
            let fold = |v: Value| if sensitive { v } else { ignoring_case(&v) };
            match attribute {
                None => Ok(fold(item.clone())),
                Some(attribute) => {
                    let paths: Vec<Value> = match attribute.as_str() {
                        Some(text) => text.split(',').map(|p| Value::from(p.trim())).collect(),
                        None => vec![attribute.clone()],
                    };
                    let keys =
                        paths.iter().map(|p| part(item, p, None).map(fold)).collect::<Result<Vec<_>, _>>()?;
                    Ok(list(keys))
                }
            }
        })?;
        Ok(list(items))
    }),
    ("sorted_ignorecase", |_, v, _| {
        methods::sorted(iterate(v)?, false, |item| Ok(ignoring_case(item))).map(list)
    }),
    ("str_to_num", |_, v, _| Ok(to_number(v))),
    ("strftime", |_, v, a| dates::filter(v, a)),
    ("string", |_, v, _| Ok(Value::from(soft(v)))),
    ("striptags", |_, v, _| {
        let mut out = String::new();
        let mut rest = soft(v);
        while let Some(start) = rest.find('<') {
            out.push_str(&rest[..start]);
            let comment = rest[start..].starts_with("<!--");
            let end = if comment { "-->" } else { ">" };
            match rest[start..].find(end) {
                Some(at) => rest = rest[start + at + end.len()..].to_owned(),
                None => {
                    out.push_str(&rest[start..]);
                    rest.clear();
                }
            }
        }
        out.push_str(&rest);
        Ok(Value::from(out.split_whitespace().collect::<Vec<_>>().join(" ")))
    }),
    ("substring_in_list", |_, v, a| {
        let (wanted, items) = (soft(v), iterate(a.need(0, "lst")?)?);
        Ok(Value::from(items.iter().any(|i| to_str(i).contains(&wanted))))
    }),
    ("sum", |_, v, a| {
        let attribute = a.get(0, "attribute").filter(|a| !a.is_none());
        let mut total = a.get(1, "start").cloned().unwrap_or_else(|| Value::from(0));
        for item in iterate(v)? {
            let item = match attribute {
                Some(attribute) => part(&item, attribute, None)?,
                None => item,
            };
            total = ops::plus(&total, &item)?;
        }
        Ok(total)
    }),
    ("symmetric_difference", |_, v, a| {
        let (one, other) = (iterate(v)?, iterate(a.need(0, "lst2")?)?);
        let in_both = |x: &Value| one.iter().any(|y| equal(x, y)) && other.iter().any(|y| equal(x, y));
        sets(v, one.iter().chain(&other).filter(|x| !in_both(x)).cloned().collect())
    }),
    ("title", |_, v, _| {
        let mut out = String::new();
        let mut start = true;
        for c in soft(v).chars() {
            if c.is_whitespace() || "-({[<".contains(c) {
                start = true;
                out.push(c);
            } else if std::mem::take(&mut start) {
                out.extend(c.to_uppercase());
            } else {
                out.extend(c.to_lowercase());
            }
        }
        Ok(Value::from(out))
    }),
    ("to_bool", |_, v, _| {
        Ok(Value::from(match kind(v) {
            Kind::Bool(b) => b,
            Kind::Str(text) => matches!(text.to_lowercase().as_str(), "yes" | "1" | "true"),
            Kind::Int(n) => n.is_positive(),
            Kind::Seq(seq) => seq.kind != SeqKind::Tuple && !seq.read().is_empty(),
            Kind::Dict(dict) => !dict.read().is_empty(),
            _ => false,
        }))
    }),
    ("to_bytes", |_, v, _| Ok(Value::from_bytes(bytes_of(v)))),
    ("to_camelcase", |_, v, a| {
        let upper = a.flag(0, "uppercamel", false)?;
        let mut out = String::new();
        for (i, word) in soft(v).split('_').enumerate() {
            if i > 0 || upper { out.push_str(&methods::capitalize(word)) } else { out.push_str(word) }
        }
        Ok(Value::from(out))
    }),
    ("to_entries", |_, v, _| {
        let pairs = value::pairs(v).ok_or_else(|| type_error("a mapping is needed"))?;
        Ok(list(pairs.into_iter().map(|(k, v)| value::dict_of_text([("key", k), ("value", v)])).collect()))
    }),
    ("to_num", |_, v, _| Ok(to_number(v))),
    ("to_snake_case", |_, v, _| {
        let mut out = String::new();
        for (i, c) in soft(v).chars().enumerate() {
            if c.is_uppercase() && i > 0 {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        }
        Ok(Value::from(out))
    }),
    ("tojson", |_, v, a| {
        if let Some(undefined) = inner_undefined(v) {
            return Ok(undefined);
        }
        let style = Style {
            sort_keys: a.keyword("sort_keys").is_some_and(Value::is_true),
            indent: indent_of(a.get(0, "indent"))?,
            ascii: a.keyword("ensure_ascii").is_none_or(Value::is_true),
        };
        let text = json::dump(v, &style)?;
        ops::text(
            text.replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026")
                .replace('\'', "\\u0027"),
        )
    }),
    ("traverse", |_, v, a| {
        let delimiter = a.text_or(2, "delimiter", ":")?;
        let default = a.get(1, "default").cloned().unwrap_or_else(|| Value::from(()));
        Ok(super::calls::traverse(v, &to_str(a.need(0, "key")?), delimiter).unwrap_or(default))
    }),
    ("trim", |_, v, a| {
        let text = soft(v);
        Ok(Value::from(match a.get(0, "chars").filter(|c| !c.is_none()) {
            Some(chars) => {
                let chars = to_str(chars);
                text.trim_matches(|c| chars.contains(c))
            }
            None => text.trim_matches(methods::is_space),
        }))
    }),
    ("truncate", |_, v, a| {
        let text = soft(v);
        let limit = usize::try_from(a.int_or(0, "length", 255)?).unwrap_or_default();
        let kill = a.flag(1, "killwords", false)?;
        let end = a.text_or(2, "end", "...")?;
        let leeway = usize::try_from(a.int_or(3, "leeway", 5)?).unwrap_or_default();
        let (length, tail) = (text.chars().count(), end.chars().count());
        if limit < tail {
            return Err(type_error(format!("expected length >= {tail}, got {limit}")));
        }
        if length <= limit.saturating_add(leeway) {
            return Ok(Value::from(text));
        }
        let cut: String = text.chars().take(limit - tail).collect();
        let cut = if kill { cut.as_str() } else { cut.rsplit_once(' ').map_or(cut.as_str(), |(a, _)| a) };
        Ok(Value::from(format!("{cut}{end}")))
    }),
    ("union", |_, v, a| {
        let (one, other) = (iterate(v)?, iterate(a.need(0, "lst2")?)?);
        sets(v, one.into_iter().chain(other).collect())
    }),
    ("unique", |_, v, _| {
        let items = iterate(v)?;
        sets(v, items)
    }),
    ("update_dict_key_value", |_, v, a| {
        nested(v, a, |old, new| {
            let mut entries = old.map(methods::entries_of).transpose()?.unwrap_or_default();
            entries.extend(methods::entries_of(new)?);
            Ok(value::dict(entries, false))
        })
    }),
    ("upper", |_, v, _| Ok(Value::from(soft(v).to_uppercase()))),
    ("urlencode", |_, v, _| {
        let pairs = match kind(v) {
            Kind::Dict(dict) => Some(dict.snapshot()),
            Kind::Seq(_) => Some(
                iterate(v)?
                    .iter()
                    .map(|pair| {
                        let pair = iterate(pair)?;
                        Ok((
                            pair.first().cloned().unwrap_or_default(),
                            pair.get(1).cloned().unwrap_or_default(),
                        ))
                    })
                    .collect::<Result<Vec<_>, Error>>()?,
            ),
            _ => None,
        };
        Ok(Value::from(match pairs {
            None => url_quote(&soft(v), "/"),
            Some(pairs) => {
                let parts: Vec<String> = pairs
                    .iter()
                    .map(|(k, v)| {
                        format!("{}={}", url_quote(&to_str(k), ""), url_quote(&to_str(v), ""))
                            .replace("%20", "+")
                    })
                    .collect();
                parts.join("&")
            }
        }))
    }),
    ("urlize", |_, _, _| Err(type_error("the filter `urlize` makes HTML and is not supported"))),
    ("uuid", |_, v, _| Ok(Value::from(digests::uuid5(&soft(v))))),
    ("which", |_, _, _| Err(not_here("which"))),
    ("wordcount", |_, v, _| {
        Ok(Value::from(
            soft(v).split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).count(),
        ))
    }),
    ("wordwrap", |_, v, a| {
        let width = usize::try_from(a.int_or(0, "width", 79)?)
            .ok()
            .filter(|w| *w > 0)
            .ok_or_else(|| type_error("invalid width"))?;
        let break_long = a.flag(1, "break_long_words", true)?;
        let end = a.text_or(2, "wrapstring", "\n")?;
        let text = soft(v);
        let mut out = String::new();
        for (i, line) in methods::lines(&text, false).into_iter().enumerate() {
            if i > 0 {
                out.push_str(end);
            }
            let rows = wrap(line, width, break_long);
            let added = rows.iter().map(|row| row.len() + end.len()).sum::<usize>() + end.len();
            work::grow(&out, added)?;
            out.push_str(&rows.join(end));
        }
        ops::text(out)
    }),
    ("xml", |_, _, _| Err(type_error("the filter `xml` is not supported"))),
    ("xmlattr", |_, v, a| {
        let pairs = value::pairs(v).ok_or_else(|| type_error("a mapping is needed"))?;
        let parts: Vec<String> = pairs
            .iter()
            .filter(|(_, v)| !v.is_none() && !is_undefined(v))
            .map(|(k, v)| format!("{}=\"{}\"", html(&to_str(k)), html(&to_str(v))))
            .collect();
        let space = if a.flag(0, "autospace", true)? && !parts.is_empty() { " " } else { "" };
        Ok(Value::from(format!("{space}{}", parts.join(" "))))
    }),
    ("yaml", |_, v, a| {
        if let Some(undefined) = inner_undefined(v) {
            return Ok(undefined);
        }
        let flow = match a.get(0, "flow_style") {
            None => Flow::Always,
            Some(value) if value.is_none() => Flow::Leaves,
            Some(value) => {
                if truth(value)? {
                    Flow::Always
                } else {
                    Flow::Never
                }
            }
        };
        let text = dump::dump(v, flow)?;
        let text = text.trim();
        Ok(Value::from_safe_string(text.strip_suffix("\n...").unwrap_or(text).to_owned()))
    }),
    ("yaml_dquote", |_, v, _| Ok(Value::from(dump::double_quoted_ascii(&soft(v))))),
    ("yaml_encode", |_, v, _| {
        Ok(Value::from(match kind(v) {
            Kind::Str(text) => dump::double_quoted_ascii(text),
            Kind::Seq(_) | Kind::Dict(_) => {
                return Err(type_error("yaml_encode() only works with YAML scalar data"));
            }
            _ => dump::dump(v, Flow::Always)?.trim().trim_end_matches("\n...").to_owned(),
        }))
    }),
    ("yaml_squote", |_, v, _| Ok(Value::from(dump::single_quoted(&soft(v))))),
    ("zip", |_, v, a| {
        let pools = std::iter::once(v).chain(&a.positional).map(iterate).collect::<Result<Vec<_>, _>>()?;
        let rows = pools.iter().map(Vec::len).min().unwrap_or_default();
        work::visit(rows.saturating_mul(pools.len()))?;
        Ok(list((0..rows).map(|i| tuple(pools.iter().map(|p| p[i].clone()).collect())).collect()))
    }),
    ("zip_longest", |_, v, a| {
        let fill = a.keyword("fillvalue").cloned().unwrap_or_else(|| Value::from(()));
        let pools = std::iter::once(v).chain(&a.positional).map(iterate).collect::<Result<Vec<_>, _>>()?;
        let rows = pools.iter().map(Vec::len).max().unwrap_or_default();
        work::visit(rows.saturating_mul(pools.len()))?;
        Ok(list(
            (0..rows)
                .map(|i| tuple(pools.iter().map(|p| p.get(i).unwrap_or(&fill).clone()).collect()))
                .collect(),
        ))
    }),
];

fn find(name: &str) -> Option<Filter> {
    FILTERS.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|i| FILTERS[i].1)
}

pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|(name, _)| *name)
}

/// `args` begin with the subject.
pub(super) fn apply(state: &mut State<'_, '_>, name: &str, args: &Args) -> Result<Value, Error> {
    let filter = find(name).ok_or_else(|| type_error(format!("there is no filter `{name}`")))?;
    let subject = args.positional.first().cloned().unwrap_or_default();
    work::visit(subject.as_str().map_or(1, |text| text.len() / 32))?;
    if let Some(unknown) = args.all().find(|v| ops::unknown(v)) {
        return Ok(unknown.clone());
    }
    if !matches!(name, "default" | "d" | "items" | "yaml" | "json" | "tojson" | "skip") {
        match kind(&subject) {
            Kind::Undef(undef) if undef.silent => {
                // Jinja2's plain undefined: empty text, an empty list.
                return filter(state, &Value::from(""), &args.rest(1));
            }
            _ => solid(&subject)?,
        }
    }
    filter(state, &subject, &args.rest(1)).map_err(|error| within(&format!("the filter `{name}`"), error))
}

fn not_here(name: &str) -> Error {
    fault(
        minijinja::ErrorKind::InvalidOperation,
        format!("the filter `{name}` looks at the machine that renders, which is not the host"),
        vec!["ask the host by `salt['…'](…)`".to_owned()],
    )
}

fn random(name: &str) -> Error {
    fault(
        minijinja::ErrorKind::InvalidOperation,
        format!("the filter `{name}` gives something else each time, so nothing could ever be up to date"),
        vec!["keep the value in pillar".to_owned()],
    )
}

/// Text of any value, as Jinja2's `soft_str`.
fn soft(value: &Value) -> String {
    to_str(value)
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match kind(value) {
        Kind::Bytes(bytes) => bytes.to_vec(),
        _ => to_str(value).into_bytes(),
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    digests::base64_encode(bytes)
}

/// The first undefined value inside of a value, as the value of the whole.
fn inner_undefined(value: &Value) -> Option<Value> {
    fn search(value: &Value, depth: usize) -> Option<Value> {
        if depth > 100 {
            return None;
        }
        match kind(value) {
            Kind::Undef(_) => Some(value.clone()),
            Kind::Seq(seq) => seq.snapshot().iter().find_map(|v| search(v, depth + 1)),
            Kind::Dict(dict) => dict.snapshot().iter().find_map(|(_, v)| search(v, depth + 1)),
            _ => None,
        }
    }
    search(value, 0)
}

fn default(_: &mut State<'_, '_>, value: &Value, args: &Args) -> Result<Value, Error> {
    let boolean = args.flag(1, "boolean", false)?;
    let missing = match kind(value) {
        Kind::Undef(_) => true,
        _ => boolean && !truth(value)?,
    };
    if missing {
        Ok(args.get(0, "default_value").cloned().unwrap_or_else(|| Value::from("")))
    } else {
        Ok(value.clone())
    }
}

pub(super) fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
        .replace('"', "&#34;")
}

fn escape(_: &mut State<'_, '_>, value: &Value, _: &Args) -> Result<Value, Error> {
    Ok(if value.is_safe() { value.clone() } else { Value::from_safe_string(html(&soft(value))) })
}

fn ignoring_case(value: &Value) -> Value {
    match kind(value) {
        Kind::Str(text) => Value::from(text.to_lowercase()),
        _ => value.clone(),
    }
}

/// `attribute=` of `map`, `sort` and their like: a dotted path, whose numbers are indexes.
fn part(item: &Value, path: &Value, default: Option<&Value>) -> Result<Value, Error> {
    let steps: Vec<Value> = match path.as_str() {
        Some(text) => text
            .split('.')
            .map(|step| step.parse::<i64>().map_or_else(|_| Value::from(step), Value::from))
            .collect(),
        None => vec![path.clone()],
    };
    let mut found = item.clone();
    for step in &steps {
        found = ops::item(&found, step)?;
        if let (true, Some(default)) = (is_undefined(&found), default) {
            return Ok(default.clone());
        }
    }
    Ok(found)
}

fn map(state: &mut State<'_, '_>, value: &Value, args: &Args) -> Result<Value, Error> {
    let items = iterate(value)?;
    if let Some(attribute) = args.keyword("attribute") {
        let default = args.keyword("default");
        return items.iter().map(|item| part(item, attribute, default)).collect::<Result<_, _>>().map(list);
    }
    let name = args.text(0, "filter")?.to_owned();
    let rest = args.rest(1);
    items
        .into_iter()
        .map(|item| {
            let positional = std::iter::once(item).chain(rest.positional.iter().cloned()).collect();
            apply(state, &name, &Args { positional, keywords: rest.keywords.clone() })
        })
        .collect::<Result<_, _>>()
        .map(list)
}

/// Whether an item passes the test that stands at `from` of the arguments; its truth where none does.
fn passes(state: &mut State<'_, '_>, item: &Value, args: &Args, from: usize) -> Result<bool, Error> {
    match args.positional.get(from) {
        None => truth(item),
        Some(name) => {
            let name = name.as_str().ok_or_else(|| type_error("the name of a test is needed"))?.to_owned();
            let rest = args.rest(from + 1);
            let positional = std::iter::once(item.clone()).chain(rest.positional).collect();
            super::tests::apply(state, &name, &Args { positional, keywords: rest.keywords })
        }
    }
}

fn select(state: &mut State<'_, '_>, value: &Value, args: &Args, wanted: bool) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for item in iterate(value)? {
        if passes(state, &item, args, 0)? == wanted {
            kept.push(item);
        }
    }
    Ok(list(kept))
}

fn select_by_attribute(
    state: &mut State<'_, '_>,
    value: &Value,
    args: &Args,
    wanted: bool,
) -> Result<Value, Error> {
    let attribute = args.need(0, "attribute")?;
    let mut kept = Vec::new();
    for item in iterate(value)? {
        if passes(state, &part(&item, attribute, None)?, args, 1)? == wanted {
            kept.push(item);
        }
    }
    Ok(list(kept))
}

fn extreme(value: &Value, _: &Args, wanted: std::cmp::Ordering) -> Result<Value, Error> {
    let mut items = iterate(value)?.into_iter();
    let Some(mut best) = items.next() else { return Err(type_error("the sequence is empty")) };
    for item in items {
        if order(&item, &best, if wanted.is_gt() { ">" } else { "<" })? == wanted {
            best = item;
        }
    }
    Ok(best)
}

/// Each value once; a set where the first argument cannot change, as Salt's set filters give it.
fn sets(first: &Value, items: Vec<Value>) -> Result<Value, Error> {
    let fixed = matches!(kind(first), Kind::Str(_))
        || matches!(kind(first), Kind::Seq(seq) if seq.kind == SeqKind::Tuple);
    if fixed {
        return value::set(items);
    }
    let mut once: Vec<Value> = Vec::new();
    for item in items {
        if !once.iter().any(|known| equal(known, &item)) {
            once.push(item);
        }
    }
    Ok(list(once))
}

fn exactly(value: &Value, wanted: i128) -> Result<Value, Error> {
    let mut count = 0;
    for item in iterate(value)? {
        count += i128::from(truth(&item)?);
    }
    Ok(Value::from(count == wanted))
}

fn flatten(
    value: &Value,
    levels: i64,
    keep_nulls: bool,
    depth: usize,
    out: &mut Vec<Value>,
) -> Result<(), Error> {
    for item in iterate(value)? {
        if item.is_none() && !keep_nulls {
            continue;
        }
        match kind(&item) {
            Kind::Seq(_) if depth < 100 && (levels < 0 || (depth as i64) < levels) => {
                flatten(&item, levels, keep_nulls, depth + 1, out)?;
            }
            _ => out.push(item),
        }
    }
    Ok(())
}

fn combinations(value: &Value, args: &Args, repeat: bool) -> Result<Value, Error> {
    fn step(
        items: &[Value],
        size: usize,
        from: usize,
        repeat: bool,
        chosen: &mut Vec<Value>,
        out: &mut Vec<Value>,
    ) -> Result<(), Error> {
        if chosen.len() == size {
            out.push(tuple(chosen.clone()));
            return if out.len() > 100_000 {
                Err(type_error("there are too many combinations"))
            } else {
                Ok(())
            };
        }
        // Where fewer are left than are wanted, nothing is found.
        let end = if repeat { items.len() } else { (items.len() + 1).saturating_sub(size - chosen.len()) };
        for i in from..end {
            chosen.push(items[i].clone());
            step(items, size, if repeat { i } else { i + 1 }, repeat, chosen, out)?;
            chosen.pop();
        }
        Ok(())
    }
    let items = iterate(value)?;
    let size = usize::try_from(args.int(0, "r")?)
        .ok()
        .filter(|n| *n <= 50)
        .ok_or_else(|| type_error("the size is out of range"))?;
    let mut out = Vec::new();
    step(&items, size, 0, repeat, &mut Vec::new(), &mut out)?;
    Ok(list(out))
}

fn permute(items: &[Value], size: usize, chosen: &mut Vec<usize>, out: &mut Vec<Value>) -> Result<(), Error> {
    if size > items.len() {
        return Ok(());
    }
    if chosen.len() == size {
        out.push(tuple(chosen.iter().map(|i| items[*i].clone()).collect()));
        return if out.len() > 100_000 { Err(type_error("there are too many permutations")) } else { Ok(()) };
    }
    for i in 0..items.len() {
        if !chosen.contains(&i) {
            chosen.push(i);
            permute(items, size, chosen, out)?;
            chosen.pop();
        }
    }
    Ok(())
}

/// The filters that change one key, given by its path, of a nested mapping.
fn nested(
    value: &Value,
    args: &Args,
    change: fn(Option<&Value>, &Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let keys = to_str(args.need(0, "keys")?);
    let new = args.need(1, "value")?;
    let delimiter = args.text_or(2, "delimiter", ":")?;
    let mut at = value.clone();
    let mut steps: Vec<&str> = keys.split(delimiter).collect();
    let last = steps.pop().unwrap_or_default();
    for step in steps {
        let Kind::Dict(dict) = kind(&at) else { return Err(type_error("a mapping is needed")) };
        let next = dict.get(step).unwrap_or_else(|| value::dict(value::Entries::new(), false));
        dict.write().insert(Key(Value::from(step)), next.clone());
        at = next;
    }
    let Kind::Dict(dict) = kind(&at) else { return Err(type_error("a mapping is needed")) };
    let changed = change(dict.get(last).as_ref(), new)?;
    dict.write().insert(Key(Value::from(last)), changed);
    Ok(value.clone())
}

// ---- numbers ----

fn to_float(value: &Value) -> Option<f64> {
    match kind(value) {
        Kind::Str(text) => {
            let text = text.trim();
            let body = text.trim_start_matches(['+', '-']).to_lowercase();
            if matches!(body.as_str(), "inf" | "infinity" | "nan") {
                return text.parse().ok();
            }
            let valid =
                !text.starts_with('_') && text.chars().all(|c| c.is_ascii_digit() || "+-.eE_".contains(c));
            if valid { text.replace('_', "").parse().ok() } else { None }
        }
        _ => number(value).map(|n| n.float()),
    }
}

fn to_int(value: &Value, base: u32) -> Option<BigInt> {
    match kind(value) {
        Kind::Str(text) => {
            let text = text.trim();
            let (negative, body) = match text.strip_prefix('-') {
                Some(body) => (true, body),
                None => (false, text.strip_prefix('+').unwrap_or(text)),
            };
            let lower = body.to_lowercase();
            let digits = match base {
                16 => lower.strip_prefix("0x").unwrap_or(&lower),
                8 => lower.strip_prefix("0o").unwrap_or(&lower),
                2 => lower.strip_prefix("0b").unwrap_or(&lower),
                _ => &lower,
            };
            let valid =
                !digits.is_empty() && !digits.starts_with(['_', '+', '-']) && (2..=36).contains(&base);
            if valid && let Some(n) = kstate_core::integer(&digits.replace('_', ""), base) {
                return Some(if negative { -n } else { n });
            }
            to_float(value).and_then(BigInt::from_f64)
        }
        _ => match number(value)? {
            Number::Int(n) => Some(n),
            Number::Float(n) => BigInt::from_f64(n),
        },
    }
}

fn to_number(value: &Value) -> Value {
    let text = to_str(value);
    if let Some(n) = kstate_core::integer(text.trim(), 10) {
        return value::int(n);
    }
    to_float(value).map_or_else(|| value.clone(), Value::from)
}

// ---- text ----

/// Text as a POSIX shell takes it for one word.
pub(super) fn shell_quote(text: &str) -> String {
    let plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\"'\"'")) }
}

fn url_quote(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.as_bytes().contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn indent_of(value: Option<&Value>) -> Result<Option<usize>, Error> {
    match value {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) => match number(value) {
            Some(n) if (0.0..=100.0).contains(&n.float()) => Ok(Some(n.float() as usize)),
            _ => Err(type_error("the indent must be a number")),
        },
    }
}

struct Indent {
    by: String,
    first: bool,
    blank: bool,
}

fn indent(args: &Args) -> Result<Indent, Error> {
    let by = match args.get(0, "width") {
        None => "    ".to_owned(),
        Some(width) => match kind(width) {
            Kind::Str(text) => text.to_owned(),
            _ => " ".repeat(usize::try_from(args.int(0, "width")?).unwrap_or_default().min(1000)),
        },
    };
    let first = args.get(1, "first").or_else(|| args.keyword("indentfirst")).map_or(Ok(false), truth)?;
    Ok(Indent { by, first, blank: args.flag(2, "blank", false)? })
}

fn indent_text(text: &str, args: &Args) -> Result<String, Error> {
    let Indent { by, first, blank } = indent(args)?;
    let text = format!("{text}\n");
    let lines = methods::lines(&text, false);
    let mut out = if first { by.clone() } else { String::new() };
    for (i, line) in lines.iter().enumerate() {
        work::grow(&out, by.len() + line.len())?;
        if i > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&by);
            }
        }
        out.push_str(line);
    }
    Ok(out)
}

/// `indent` for text that is printed at once: it moves lines and leaves their markers to them.
pub(super) fn indent_marked(text: &str, args: &Args) -> Result<Value, Error> {
    let Indent { by, first, blank } = indent(args)?;
    let mut out = if first { by.clone() } else { String::new() };
    for (i, line) in text.split('\n').enumerate() {
        work::grow(&out, by.len() + line.len())?;
        if i > 0 {
            out.push('\n');
            if blank || !lines::without_markers(line).is_empty() {
                out.push_str(&by);
            }
        }
        out.push_str(line);
    }
    ops::text(out)
}

fn wrap(line: &str, width: usize, break_long: bool) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let mut row = String::new();
    for word in line.split_inclusive(' ') {
        let bare = word.trim_end_matches(' ');
        let (used, length) = (row.chars().count(), bare.chars().count());
        if !row.is_empty() && used + length > width {
            rows.push(std::mem::take(&mut row).trim_end().to_owned());
        }
        if length > width && break_long {
            let chars: Vec<char> = bare.chars().collect();
            for piece in chars.chunks(width) {
                if !row.is_empty() {
                    rows.push(std::mem::take(&mut row));
                }
                row = piece.iter().collect();
            }
            row.push_str(&word[bare.len()..]);
        } else {
            row.push_str(word);
        }
    }
    rows.push(row.trim_end().to_owned());
    rows
}
