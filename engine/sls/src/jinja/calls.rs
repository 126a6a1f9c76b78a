//! `salt['module.function'](…)`: what is answered from grains, pillar, the tree and the arguments, and what is a question
//! to the host.

use std::sync::Arc;

use kstate_core::{Map, fnmatch};
use minijinja::value::Value;
use minijinja::{Error, State};

use super::args::Args;
use super::dump::{self, Flow};
use super::fault::type_error;
use super::json::{self, Style};
use super::root::{Root, root};
use super::value::{
    self, Dict, Key, Kind, SeqKind, deep_copy, equal, from_plain, iterate, kind, list, to_str, truth, what,
};
use super::{digests, network, ops};
use crate::data;
use crate::matching::{Expression, Minion};

pub(super) type Local = fn(&Arc<Root>, &Args) -> Result<Value, Error>;

/// Answered here, by name, sorted.
const LOCAL: &[(&str, Local)] = &[
    ("config.get", |root, a| {
        let key = a.text(0, "key")?;
        let default = a.get(1, "default").cloned().unwrap_or_else(|| Value::from(""));
        let delimiter = a.text_or(2, "delimiter", ":")?;
        let merge = a.get(3, "merge").filter(|m| !m.is_none()).map(to_str);
        match merge {
            None => Ok(traverse(root.opts(), key, delimiter)
                .or_else(|| grain(root, key, delimiter))
                .or_else(|| pillar_value(root, key, delimiter))
                .or_else(|| pillar_value(root, &format!("master{delimiter}{key}"), delimiter))
                .unwrap_or(default)),
            Some(strategy) => {
                let mut merged = value::dict(value::Entries::new(), false);
                let master = pillar_value(root, "master", ":");
                for source in
                    [master, Some(root.pillar_copy()), Some(root.grains_copy()), Some(root.opts().clone())]
                        .iter()
                        .flatten()
                {
                    merged = if strategy == "overwrite" {
                        update(&deep_copy(&merged), &deep_copy(source), false, false)?
                    } else {
                        update(&deep_copy(&merged), &deep_copy(source), true, false)?
                    };
                }
                Ok(traverse(&merged, key, delimiter).unwrap_or(default))
            }
        }
    }),
    ("config.option", |root, a| {
        let name = a.text(0, "value")?;
        let default = a.get(1, "default").cloned().unwrap_or_else(|| Value::from(""));
        let master = pillar_value(root, "master", ":").and_then(|m| attribute(&m, name));
        let own = root.data.pillar.as_map().and_then(|map| map.get(name)).map(from_plain);
        Ok(attribute(root.opts(), name).or(master).or(own).unwrap_or(default))
    }),
    ("cp.get_file_str", |root, a| {
        let path = a.text(0, "path")?;
        let path = path.strip_prefix("salt://").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        match root.engine.folders.file(path) {
            Ok(Some(file)) => Ok(Value::from(file.text.as_str())),
            Ok(None) => Ok(Value::from(false)),
            Err(error) => Err(type_error(format!("`{path}` cannot be read: {error}"))),
        }
    }),
    ("cp.list_states", |root, _| {
        Ok(list(root.engine.folders.sls_names().iter().map(|name| Value::from(name.as_str())).collect()))
    }),
    ("defaults.deepcopy", |_, a| Ok(deep_copy(a.need(0, "source")?))),
    ("defaults.get", |root, a| {
        let (namespace, key) = a.text(0, "key").map(|key| key.split_once(':').unwrap_or((key, "")))?;
        let defaults = formula_defaults(root, namespace)?;
        if key.is_empty() {
            return Ok(defaults.unwrap_or_else(|| Value::from(())));
        }
        let found = defaults.and_then(|defaults| traverse(&defaults, key, ":"));
        Ok(found.or_else(|| a.get(1, "default").cloned()).unwrap_or_else(|| Value::from("")))
    }),
    ("defaults.merge", |_, a| {
        let (dest, source) = (a.need(0, "dest")?, a.need(1, "src")?);
        let lists = a.flag(2, "merge_lists", false)?;
        let in_place = a.flag(3, "in_place", true)?;
        let convert = a.flag(4, "convert_none", true)?;
        let empty = || value::dict(value::Entries::new(), false);
        let source = if source.is_none() && convert { empty() } else { source.clone() };
        let dest = match dest.is_none() && convert {
            true if in_place => return Err(type_error("Can't perform in-place merge into NoneType")),
            true => empty(),
            false => dest.clone(),
        };
        update(&if in_place { dest } else { deep_copy(&dest) }, &source, true, lists)
    }),
    ("defaults.update", |_, a| {
        let (dest, defaults) = (a.need(0, "dest")?, a.need(1, "defaults")?);
        let lists = a.flag(2, "merge_lists", true)?;
        let dest = if a.flag(3, "in_place", true)? { dest.clone() } else { deep_copy(dest) };
        let Some(pairs) = value::pairs(&dest) else {
            return Err(type_error("defaults.update needs mappings"));
        };
        for (name, own) in pairs {
            let merged = update(&deep_copy(defaults), &own, true, lists)?;
            if let Kind::Dict(dict) = kind(&dest) {
                dict.write().insert(Key::new(&name)?, merged);
            }
        }
        Ok(dest)
    }),
    ("file.basename", |_, a| {
        let path = a.text(0, "path")?;
        Ok(Value::from(path.rsplit_once('/').map_or(path, |(_, name)| name)))
    }),
    ("file.dirname", |_, a| {
        let path = a.text(0, "path")?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let trimmed = folder.trim_end_matches('/');
        Ok(Value::from(if path.starts_with('/') && trimmed.is_empty() { "/" } else { trimmed }))
    }),
    ("file.join", |_, a| {
        let mut parts = a.positional.iter();
        let mut path = parts.next().map(to_str).unwrap_or_default();
        for part in parts {
            path = path_join(&path, &to_str(part));
        }
        Ok(Value::from(path))
    }),
    ("file.normpath", |_, a| Ok(Value::from(normal_path(a.text(0, "path")?)))),
    ("file.pardir", |_, _| Ok(Value::from(".."))),
    ("grains.equals", |root, a| {
        let found = grain(root, a.text(0, "key")?, ":").unwrap_or_else(|| Value::from(""));
        Ok(Value::from(to_str(&found) == to_str(a.need(1, "value")?)))
    }),
    ("grains.fetch", |root, a| grain_or_default(root, a)),
    ("grains.filter_by", |root, a| {
        let args = filter_arguments(a, "grain", "os_family")?;
        filter_by(grain(root, &args.subject, ":"), &args)
    }),
    ("grains.get", |root, a| grain_or_default(root, a)),
    ("grains.has_value", |root, a| {
        Ok(Value::from(grain(root, a.text(0, "key")?, ":").map_or(Ok(false), |v| truth(&v))?))
    }),
    ("grains.item", |root, a| {
        let default = a.keyword("default").cloned().unwrap_or_else(|| Value::from(""));
        let mut entries = value::Entries::new();
        for key in &a.positional {
            entries.insert(Key::new(key)?, grain(root, &to_str(key), ":").unwrap_or_else(|| default.clone()));
        }
        Ok(value::dict(entries, false))
    }),
    ("grains.items", |root, _| Ok(root.grains_copy())),
    ("grains.ls", |root, _| {
        super::methods::sorted(iterate(&root.grains_copy())?, false, |k| Ok(k.clone())).map(list)
    }),
    ("hashutil.base64_b64decode", |_, a| {
        let bytes = digests::base64_decode(a.text(0, "instr")?.as_bytes())
            .ok_or_else(|| type_error("the text is not base64"))?;
        Ok(Value::from(String::from_utf8_lossy(&bytes).into_owned()))
    }),
    ("hashutil.base64_b64encode", |_, a| {
        Ok(Value::from(digests::base64_encode(a.text(0, "instr")?.as_bytes())))
    }),
    ("hashutil.digest", |_, a| {
        let text = a.text(0, "instr")?.as_bytes();
        Ok(Value::from(match a.text_or(1, "checksum", "md5")? {
            "md5" => digests::md5(text),
            "sha256" => digests::sha256(text),
            "sha512" => digests::sha512(text),
            other => return Err(type_error(format!("hash function `{other}` is not supported"))),
        }))
    }),
    ("hashutil.md5_digest", |_, a| Ok(Value::from(digests::md5(a.text(0, "instr")?.as_bytes())))),
    ("hashutil.sha256_digest", |_, a| Ok(Value::from(digests::sha256(a.text(0, "instr")?.as_bytes())))),
    ("hashutil.sha512_digest", |_, a| Ok(Value::from(digests::sha512(a.text(0, "instr")?.as_bytes())))),
    ("jinja.load_map", |_, _| Err(type_error("jinja.load_map is not supported"))),
    ("log.critical", |_, _| Ok(Value::from(true))),
    ("log.debug", |_, _| Ok(Value::from(true))),
    ("log.error", |_, _| Ok(Value::from(true))),
    ("log.exception", |_, _| Ok(Value::from(true))),
    ("log.info", |_, _| Ok(Value::from(true))),
    ("log.warning", |_, _| Ok(Value::from(true))),
    ("match.compound", |root, a| matches(root, a, "compound")),
    ("match.filter_by", |root, a| {
        let args = Args { positional: a.positional.clone(), keywords: a.keywords.clone() };
        let lookup = args.need(0, "lookup")?;
        let kind_of = args.text_or(1, "tgt_type", "compound")?;
        let default = to_str(args.get(4, "default").unwrap_or(&Value::from("default")));
        let pairs = value::pairs(lookup).ok_or_else(|| type_error("match.filter_by needs a mapping"))?;
        let mut found = None;
        for (key, item) in &pairs {
            if matcher(root, &to_str(key), kind_of)? {
                found = Some(item.clone());
                break;
            }
        }
        let found = found.or_else(|| attribute(lookup, &default)).unwrap_or_else(|| Value::from(()));
        merge_over(found, lookup, args.keyword("base").or(args.positional.get(5)), args.get(3, "merge"))
    }),
    ("match.glob", |root, a| matches(root, a, "glob")),
    ("match.grain", |root, a| matches(root, a, "grain")),
    ("match.grain_pcre", |root, a| matches(root, a, "grain_pcre")),
    ("match.ifelse", |root, a| {
        for pair in a.positional.chunks(2) {
            match pair {
                [target, result] if matcher(root, &to_str(target), "compound")? => return Ok(result.clone()),
                [otherwise] => return Ok(otherwise.clone()),
                _ => {}
            }
        }
        Ok(Value::from(()))
    }),
    ("match.list", |root, a| matches(root, a, "list")),
    ("match.pcre", |root, a| matches(root, a, "pcre")),
    ("match.pillar", |root, a| matches(root, a, "pillar")),
    ("match.pillar_pcre", |root, a| matches(root, a, "pillar_pcre")),
    ("match.search_by", |root, a| {
        let kind_of = a.text_or(1, "tgt_type", "compound")?;
        let mut found = Vec::new();
        for (key, targets) in value::pairs(a.need(0, "lookup")?).unwrap_or_default() {
            let targets = match targets.as_str() {
                Some(_) => vec![targets.clone()],
                None => iterate(&targets)?,
            };
            for target in targets {
                if matcher(root, &to_str(&target), kind_of)? {
                    found.push(key.clone());
                    break;
                }
            }
        }
        Ok(if found.is_empty() { Value::from(()) } else { list(found) })
    }),
    ("network.calc_net", |_, a| network::calc_net(a)),
    ("network.ip_in_subnet", |_, a| network::ip_in_subnet(a)),
    ("pillar.data", |root, _| Ok(root.pillar_copy())),
    ("pillar.fetch", |root, a| pillar(root, a)),
    ("pillar.filter_by", |root, a| {
        let args = filter_arguments(a, "pillar", "")?;
        filter_by(pillar_value(root, &args.subject, ":"), &args)
    }),
    ("pillar.get", |root, a| pillar(root, a)),
    ("pillar.item", |root, a| {
        let default = a.keyword("default").cloned().unwrap_or_else(|| Value::from(""));
        let mut entries = value::Entries::new();
        for key in &a.positional {
            entries.insert(
                Key::new(key)?,
                pillar_value(root, &to_str(key), ":").unwrap_or_else(|| default.clone()),
            );
        }
        Ok(value::dict(entries, false))
    }),
    ("pillar.items", |root, _| Ok(root.pillar_copy())),
    ("pillar.keys", |root, a| {
        let key = a.text(0, "key")?;
        let found = pillar_value(root, key, a.text_or(1, "delimiter", ":")?);
        let found = found.ok_or_else(|| type_error(format!("Pillar key not found: {key}")))?;
        match kind(&found) {
            Kind::Dict(dict) => Ok(list(dict.keys())),
            _ => Err(type_error(format!("Pillar value in key {key} is not a dict"))),
        }
    }),
    ("pillar.ls", |root, _| {
        super::methods::sorted(iterate(&root.pillar_copy())?, false, |k| Ok(k.clone())).map(list)
    }),
    ("pillar.raw", |root, _| Ok(root.pillar_copy())),
    ("slsutil.boolstr", |_, a| {
        let yes = truth(&to_bool(a.need(0, "value")?))?;
        let (on, off) = (a.text_or(1, "true", "true")?, a.text_or(2, "false", "false")?);
        Ok(Value::from(if yes { on } else { off }))
    }),
    ("slsutil.deserialize", |_, a| {
        let text = a.text(1, "stream_or_string")?;
        match a.text(0, "serializer")? {
            "yaml" => super::load::yaml_text(text),
            "json" => json::load(text).map(|v| from_plain(&v)).map_err(type_error),
            other => Err(type_error(format!("the serializer `{other}` is not supported"))),
        }
    }),
    ("slsutil.dir_exists", |root, a| Ok(Value::from(root.engine.folders.is_folder(a.text(0, "path")?)))),
    ("slsutil.file_exists", |root, a| Ok(Value::from(root.engine.folders.is_file(a.text(0, "path")?)))),
    ("slsutil.findup", |root, a| {
        let start = a.text_or(0, "startpath", "")?.trim_matches('/').to_owned();
        let names = match a.need(1, "filenames")? {
            value if value.as_str().is_some() => vec![value.clone()],
            value => iterate(value)?,
        };
        let mut folder = Some(start.as_str());
        while let Some(at) = folder {
            for name in &names {
                let path = path_join(at, &to_str(name));
                if root.engine.folders.is_file(&path) {
                    return Ok(Value::from(path));
                }
            }
            folder = match at {
                "" => None,
                at => Some(at.rsplit_once('/').map_or("", |(up, _)| up)),
            };
        }
        Err(type_error(format!("none of the files was found above `{start}`")))
    }),
    ("slsutil.merge", |_, a| {
        let lists = a.flag(4, "merge_lists", false)?;
        merge(a.need(0, "obj_a")?, a.need(1, "obj_b")?, a.text_or(2, "strategy", "smart")?, lists)
    }),
    ("slsutil.merge_all", |_, a| {
        let strategy = a.text_or(1, "strategy", "smart")?;
        let lists = a.flag(3, "merge_lists", false)?;
        let mut merged = value::dict(value::Entries::new(), false);
        for item in iterate(a.need(0, "lst")?)? {
            merged = merge(&merged, &item, strategy, lists)?;
        }
        Ok(merged)
    }),
    ("slsutil.path_exists", |root, a| {
        Ok(Value::from(root.engine.folders.find(a.text(0, "path")?).is_some()))
    }),
    ("slsutil.renderer", |_, _| {
        Err(type_error("slsutil.renderer is not supported: use `import_yaml` or `include`"))
    }),
    ("slsutil.serialize", |_, a| {
        let value = a.need(1, "obj")?;
        match a.text(0, "serializer")? {
            "yaml" => {
                let flow = match a.keyword("default_flow_style") {
                    Some(flow) if flow.is_none() => Flow::Leaves,
                    Some(flow) => {
                        if truth(flow)? {
                            Flow::Always
                        } else {
                            Flow::Never
                        }
                    }
                    None => Flow::Always,
                };
                Ok(Value::from(dump::dump(value, flow)?.trim_end_matches('\n').trim_end_matches("\n...")))
            }
            "json" => {
                let style = Style {
                    sort_keys: a.keyword("sort_keys").is_some_and(Value::is_true),
                    indent: a.keyword("indent").and_then(Value::as_usize),
                    ascii: false,
                };
                json::dump(value, &style).and_then(ops::text)
            }
            "python" => Ok(Value::from(value::repr(value))),
            other => Err(type_error(format!("the serializer `{other}` is not supported"))),
        }
    }),
    ("slsutil.update", |_, a| {
        let recursive = a.flag(2, "recursive_update", true)?;
        let lists = a.flag(3, "merge_lists", false)?;
        update(a.need(0, "dest")?, a.need(1, "upd")?, recursive, lists)
    }),
    ("test.echo", |_, a| Ok(a.need(0, "text")?.clone())),
    ("test.false", |_, _| Ok(Value::from(false))),
    ("test.ping", |_, _| Ok(Value::from(true))),
    ("test.provider", |root, a| Ok(Value::from(provider(root, a.text(0, "module")?)))),
    ("test.true", |_, _| Ok(Value::from(true))),
    ("test.version", |root, _| Ok(grain(root, "saltversion", ":").unwrap_or_else(|| Value::from("3008.3")))),
];

/// The function of this name that is answered here.
pub(super) fn find(name: &str) -> Option<Local> {
    LOCAL.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|i| LOCAL[i].1)
}

/// The names of the functions that are answered here.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    LOCAL.iter().map(|(name, _)| *name)
}

/// Calls a function that is answered here, by name.
pub(super) fn local(state: &mut State<'_, '_>, name: &str, args: &Args) -> Result<Value, Error> {
    let function = find(name).ok_or_else(|| type_error(format!("there is no function `{name}`")))?;
    function(&root(state)?, args)
}

// ---- paths into data ----

/// What a path leads to in grains or pillar as functions see them: what a template does to the variable `pillar` is not
/// seen by `pillar.get`; what it does to a value that `pillar.get` gave is seen by the next `pillar.get`.
fn grain(root: &Root, path: &str, delimiter: &str) -> Option<Value> {
    data::traverse(&root.data.grains, path, delimiter).map(from_plain)
}

fn pillar_value(root: &Root, path: &str, delimiter: &str) -> Option<Value> {
    let found = whole_pillar_value(root, path, delimiter);
    if found.is_none() {
        root.miss();
    }
    found
}

fn whole_pillar_value(root: &Root, path: &str, delimiter: &str) -> Option<Value> {
    let (first, rest) = match path.split_once(delimiter) {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    match (root.pillar_part(first), rest) {
        (Some(part), None) => Some(part),
        (Some(part), Some(rest)) => traverse(&part, rest, delimiter),
        (None, _) => data::traverse(&root.data.pillar, path, delimiter).map(value::from_plain_ordered),
    }
}

/// The item of a mapping.
fn attribute(of: &Value, name: &str) -> Option<Value> {
    match kind(of) {
        Kind::Dict(dict) => dict.get(name),
        _ => None,
    }
}

/// Reads `defaults.yaml`, else `defaults.json`, from the folder of a formula.
fn formula_defaults(root: &Root, formula: &str) -> Result<Option<Value>, Error> {
    for ending in ["yaml", "json"] {
        let path = format!("{formula}/defaults.{ending}");
        let file = root.engine.folders.file(&path);
        let Some(file) = file.map_err(|error| type_error(format!("`{path}` cannot be read: {error}")))?
        else {
            continue;
        };
        let loaded = match ending {
            "yaml" => super::load::yaml_text(&file.text)?,
            _ => super::json::load(&file.text)
                .map(|value| value::from_plain(&value))
                .map_err(|error| type_error(format!("`{path}` cannot be read as JSON: {error}")))?,
        };
        return Ok(Some(if loaded.is_true() { loaded } else { value::dict(value::Entries::new(), false) }));
    }
    Ok(None)
}

/// Salt's `traverse_dict_and_list`: a path of keys, with list indexes.
pub(super) fn traverse(data: &Value, key: &str, delimiter: &str) -> Option<Value> {
    let mut at = data.clone();
    for step in key.split(delimiter) {
        at = match kind(&at) {
            Kind::Seq(seq) if matches!(seq.kind, SeqKind::List | SeqKind::Tuple) => {
                let items = seq.snapshot();
                match step.parse::<i64>() {
                    Ok(index) => {
                        let index = if index < 0 { index + items.len() as i64 } else { index };
                        items.get(usize::try_from(index).ok()?).cloned()?
                    }
                    Err(_) => items.iter().find_map(|item| attribute(item, step))?,
                }
            }
            Kind::Dict(dict) => match dict.get(step) {
                Some(found) => found,
                None => by_loaded_key(dict, step)?,
            },
            _ => return None,
        };
    }
    Some(at)
}

/// Keys that are no text are written as YAML reads them: `1`, `true`.
fn by_loaded_key(dict: &Dict, step: &str) -> Option<Value> {
    let plain = step.parse::<i64>().map(Value::from).ok().or_else(|| match step.to_lowercase().as_str() {
        "true" | "yes" | "on" => Some(Value::from(true)),
        "false" | "no" | "off" => Some(Value::from(false)),
        "null" | "~" => Some(Value::from(())),
        _ => step.parse::<f64>().ok().filter(|_| step.contains('.')).map(Value::from),
    })?;
    let entries = dict.read();
    entries.get(&Key(plain)).cloned()
}

fn grain_or_default(root: &Arc<Root>, args: &Args) -> Result<Value, Error> {
    let default = args.get(1, "default").cloned().unwrap_or_else(|| Value::from(""));
    let delimiter = args.text_or(2, "delimiter", ":")?;
    let key = args.need(0, "key")?;
    Ok(grain(root, &to_str(key), delimiter).unwrap_or(default))
}

/// `pillar.get(key, default, merge, merge_nested_lists, delimiter)`.
fn pillar(root: &Arc<Root>, args: &Args) -> Result<Value, Error> {
    let key = to_str(args.need(0, "key")?);
    let default = args.get(1, "default").cloned().unwrap_or_else(|| Value::from(""));
    let merge = args.flag(2, "merge", false)?;
    let lists = args.flag(3, "merge_nested_lists", false)?;
    let delimiter = args.text_or(4, "delimiter", ":")?;
    let found = pillar_value(root, &key, delimiter);
    if merge {
        match kind(&default) {
            Kind::Dict(_) => match &found {
                None => return Ok(deep_copy(&default)),
                Some(found) if matches!(kind(found), Kind::Dict(_)) => {
                    return update(&deep_copy(&default), found, true, lists);
                }
                Some(_) => {}
            },
            Kind::Seq(seq) if seq.kind == SeqKind::List => match &found {
                None => return Ok(deep_copy(&default)),
                Some(found) if matches!(kind(found), Kind::Seq(_)) => {
                    let mut merged = seq.snapshot();
                    for item in iterate(found)? {
                        if !merged.iter().any(|known| equal(known, &item)) {
                            merged.push(item);
                        }
                    }
                    return Ok(deep_copy(&list(merged)));
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
    Ok(found.unwrap_or(default))
}

// ---- merging ----

/// Salt's `dictupdate.update`: `upd` recursively into `dest`, in place.
fn update(dest: &Value, upd: &Value, recursive: bool, merge_lists: bool) -> Result<Value, Error> {
    update_at(dest, upd, recursive, merge_lists, 0)
}

fn update_at(
    dest: &Value,
    upd: &Value,
    recursive: bool,
    merge_lists: bool,
    depth: usize,
) -> Result<Value, Error> {
    let (Kind::Dict(into), Some(pairs)) = (kind(dest), value::pairs(upd)) else {
        let message = format!("only mappings can be merged, not {} and {}", what(dest), what(upd));
        return Err(type_error(message));
    };
    if depth > 100 {
        return Err(type_error("the data is nested too deeply"));
    }
    for (key, new) in pairs {
        let key = Key::new(&key)?;
        let old = into.read().get(&key).cloned();
        let merged = match (&old, recursive) {
            (Some(old), true) => match (kind(old), kind(&new)) {
                (Kind::Dict(_), Kind::Dict(_)) => update_at(old, &new, true, merge_lists, depth + 1)?,
                (Kind::Seq(one), Kind::Seq(other))
                    if merge_lists && one.kind == SeqKind::List && other.kind == SeqKind::List =>
                {
                    let mut items = one.snapshot();
                    for item in other.snapshot() {
                        if !items.iter().any(|known| equal(known, &item)) {
                            items.push(item);
                        }
                    }
                    list(items)
                }
                _ => new,
            },
            _ => new,
        };
        into.write().insert(key, merged);
    }
    Ok(dest.clone())
}

/// Salt's `dictupdate.merge`.
fn merge(a: &Value, b: &Value, strategy: &str, lists: bool) -> Result<Value, Error> {
    match strategy {
        "list" => {
            let mut entries = value::Entries::new();
            let (one, other) = (value::pairs(a).unwrap_or_default(), value::pairs(b).unwrap_or_default());
            for (key, item) in &one {
                entries.insert(Key::new(key)?, item.clone());
            }
            for (key, item) in &other {
                let key = Key::new(key)?;
                let merged = match entries.get(&key) {
                    Some(known) => list(vec![known.clone(), item.clone()]),
                    None => item.clone(),
                };
                entries.insert(key, merged);
            }
            Ok(value::dict(entries, false))
        }
        "overwrite" => {
            let copy = deep_copy(a);
            let (Kind::Dict(into), Some(pairs)) = (kind(&copy), value::pairs(b)) else {
                return Err(type_error("slsutil.merge needs two mappings"));
            };
            for (key, item) in pairs {
                into.write().insert(Key::new(&key)?, item);
            }
            Ok(copy.clone())
        }
        "aggregate" => Err(type_error("the strategy `aggregate` is not supported")),
        _ => update(&deep_copy(a), b, true, lists),
    }
}

// ---- filter_by ----

struct FilterBy {
    lookup: Value,
    subject: String,
    merge: Option<Value>,
    default: Value,
    base: Option<Value>,
}

fn filter_arguments(args: &Args, subject: &str, default_subject: &str) -> Result<FilterBy, Error> {
    Ok(FilterBy {
        lookup: args.need(0, "lookup_dict")?.clone(),
        subject: args.get(1, subject).map_or_else(|| default_subject.to_owned(), to_str),
        merge: args.get(2, "merge").cloned(),
        default: args.get(3, "default").cloned().unwrap_or_else(|| Value::from("default")),
        base: args.get(4, "base").cloned(),
    })
}

fn filter_by(found: Option<Value>, args: &FilterBy) -> Result<Value, Error> {
    let pairs = value::pairs(&args.lookup).ok_or_else(|| type_error("filter_by needs a mapping"))?;
    let found = found.unwrap_or_else(|| list(Vec::new()));
    let words = match kind(&found) {
        Kind::Seq(seq) if seq.kind == SeqKind::List => seq.snapshot(),
        _ => vec![found.clone()],
    };
    let chosen = words
        .iter()
        .find_map(|word| {
            let first = pairs.iter().find(|(key, _)| fnmatch(&to_str(word), &to_str(key)))?;
            (!first.1.is_none()).then(|| first.1.clone())
        })
        .or_else(|| pairs.iter().find(|(key, _)| equal(key, &args.default)).map(|(_, v)| v.clone()))
        .unwrap_or_else(|| Value::from(()));
    merge_over(chosen, &args.lookup, args.base.as_ref(), args.merge.as_ref())
}

/// The base below what was chosen, and the merge over it.
fn merge_over(
    chosen: Value,
    lookup: &Value,
    base: Option<&Value>,
    merge: Option<&Value>,
) -> Result<Value, Error> {
    let mut chosen = chosen;
    if let Some(base) = base.filter(|b| truth(b).unwrap_or(false)) {
        let values = value::pairs(lookup)
            .unwrap_or_default()
            .into_iter()
            .find(|(k, _)| equal(k, base))
            .map(|(_, v)| v);
        if let Some(values) = values {
            if chosen.is_none() {
                chosen = values;
            } else if matches!(kind(&values), Kind::Dict(_)) {
                if !matches!(kind(&chosen), Kind::Dict(_)) {
                    return Err(type_error(
                        "filter_by default and look-up values must both be dictionaries.",
                    ));
                }
                chosen = update(&deep_copy(&values), &chosen, true, false)?;
            }
        }
    }
    match merge {
        Some(merge) if truth(merge)? => {
            if !matches!(kind(merge), Kind::Dict(_)) {
                return Err(type_error("filter_by merge argument must be a dictionary."));
            }
            if chosen.is_none() { Ok(merge.clone()) } else { update(&chosen, &deep_copy(merge), true, false) }
        }
        _ => Ok(chosen),
    }
}

fn to_bool(value: &Value) -> Value {
    match kind(value) {
        Kind::Str(text) => Value::from(matches!(text.to_lowercase().as_str(), "yes" | "1" | "true" | "on")),
        _ => Value::from(truth(value).unwrap_or(false)),
    }
}

/// The module of Salt that stands behind a general one, as a minion with these grains has it.
fn provider(root: &Root, module: &str) -> &'static str {
    let family = grain(root, "os_family", ":").map(|family| to_str(&family)).unwrap_or_default();
    let init = grain(root, "init", ":").map(|init| to_str(&init)).unwrap_or_default();
    match (module, family.as_str()) {
        ("group", _) => "groupadd",
        ("pkg", "Alpine") => "apkpkg",
        ("pkg", "Arch") => "pacmanpkg",
        ("pkg", "Debian") => "aptpkg",
        ("pkg", "RedHat") => "yumpkg",
        ("pkg", "Suse") => "zypperpkg",
        ("service", _) if init == "systemd" => "systemd_service",
        ("service", "Debian") => "debian_service",
        ("service", "RedHat") => "rh_service",
        ("service", _) => "service",
        ("shadow", _) => "linux_shadow",
        ("sysctl", _) => "linux_sysctl",
        ("user", _) => "useradd",
        _ => "",
    }
}

// ---- matchers ----

fn matches(root: &Arc<Root>, args: &Args, kind_of: &str) -> Result<Value, Error> {
    let target = args.get(0, "tgt").ok_or_else(|| type_error("the argument `tgt` is missing"))?;
    Ok(Value::from(match target.as_str() {
        Some(target) => matcher(root, target, kind_of)?,
        None => false,
    }))
}

/// Salt takes an expression that cannot be read for one that does not match.
fn matcher(root: &Arc<Root>, target: &str, kind_of: &str) -> Result<bool, Error> {
    let expression =
        Expression::with_matcher(kind_of, target).and_then(|read| read.with_groups(&root.engine.groups));
    let expression = expression.map_err(|error| type_error(error.to_string()))?;
    let empty = Map::new();
    let minion = Minion {
        id: &root.data.id,
        grains: root.data.grains.as_map().unwrap_or(&empty),
        pillar: root.data.pillar.as_map().unwrap_or(&empty),
    };
    Ok(expression.matches(&minion).unwrap_or(false))
}

/// `os.path.normpath`.
fn normal_path(path: &str) -> String {
    let start = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !start.is_empty() => {}
            part => parts.push(part),
        }
    }
    let path = format!("{start}{}", parts.join("/"));
    if path.is_empty() { ".".to_owned() } else { path }
}

/// `os.path.join` of two parts.
pub(super) fn path_join(before: &str, after: &str) -> String {
    if after.starts_with('/') || before.is_empty() {
        after.to_owned()
    } else if before.ends_with('/') {
        format!("{before}{after}")
    } else {
        format!("{before}/{after}")
    }
}
