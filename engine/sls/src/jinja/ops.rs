//! What a lowered template calls: Python's operators, attribute access, calls, and the small services of the rewriting
//! (captured text, imports, macros with Python's argument rules).

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use kstate_core::integer;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{ToPrimitive, Zero};

use super::args::Args;
use super::fault::{fault, type_error};
use super::root::Unpacking;
use super::value::{
    self, Bound, Key, Kind, Number, SeqKind, Undef, clamped, equal, iterate, kind, list, number, order,
    solid, to_str, truth, tuple,
};
use super::work::{self, Work};
use super::{format, methods, objects, root, salt};

/// The bits of an integer of 4300 digits, which is as many as Python prints.
const MAX_BITS: u64 = 14_285;

type Function = fn(&mut State<'_, '_>, &[Value]) -> Result<Value, Error>;

/// A function of the lowered template, called with its arguments as they are.
struct Native {
    name: &'static str,
    function: Function,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

impl Object for Native {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let work = Work::begin(state);
        let result = (self.function)(state, args);
        work.end(state, result)
    }
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("__absent", |_, a| Ok(Value::from(a[0].is_undefined()))),
    ("__big", |_, a| integer(a[0].as_str().unwrap_or_default(), 10).map(value::int).ok_or_else(large)),
    ("__c", |state, a| call_value(state, &a[0], "", &a[1..])),
    ("__d", |_, a| {
        let mut entries = value::Entries::with_capacity(a.len() / 2);
        for pair in a.chunks_exact(2) {
            entries.insert(Key::new(&pair[0])?, pair[1].clone());
        }
        Ok(value::dict(entries, false))
    }),
    ("__dj", |_, a| {
        let mut entries = value::Entries::new();
        for (key, item) in a.iter().flat_map(|part| value::pairs(part).unwrap_or_default()) {
            entries.insert(Key::new(&key)?, item);
        }
        Ok(value::dict(entries, false))
    }),
    ("__e", |_, a| {
        if let [value] = a {
            printable(value)?;
        }
        Ok(Value::from(()))
    }),
    ("__f", |state, a| {
        let args = Args::of(&a[1..]);
        super::filters::apply(state, a[0].as_str().unwrap_or_default(), &args)
    }),
    ("__from", |_, a| {
        let name = a[1].as_str().unwrap_or_default();
        let found = a[0].get_attr(name)?;
        if !found.is_undefined() {
            return Ok(found);
        }
        let names =
            a[0].try_iter().map(|names| names.map(|n| to_str(&n)).collect::<Vec<_>>()).unwrap_or_default();
        let file = a[2].as_str().map_or("the imported template", template_name);
        let hints =
            super::nearest(name, names.iter().map(String::as_str)).map(|near| format!("it has `{near}`"));
        Ok(Undef::value(format!("`{file}` does not define `{name}`"), hints.into_iter().collect()))
    }),
    ("__has", |state, a| {
        Ok(Value::from(root(state)?.session().modules.contains_key(&(to_str(&a[0]), a[1].is_true()))))
    }),
    // The third argument is what the first one is called.
    ("__i", |_, a| item_of(&a[0], &a[1], a.get(2).and_then(Value::as_str).unwrap_or_default())),
    ("__indent", |state, a| {
        let args = Args::of(&a[1..]);
        match a[0].as_str() {
            Some(text) => super::filters::indent_marked(text, &args),
            None => super::filters::apply(state, "indent", &Args::of(a)),
        }
    }),
    ("__infinity", |_, _| Ok(Value::from(f64::INFINITY))),
    // The second argument is what the first one is called.
    ("__it", |_, a| rows(&a[0], a.get(1).unwrap_or(&Value::UNDEFINED)).map(list)),
    ("__k", |_, a| truth(&a[0]).map(|_| a[0].clone())),
    ("__keep", |state, a| {
        root(state)?.session().modules.insert((to_str(&a[0]), a[1].is_true()), a[2].clone());
        Ok(Value::from(()))
    }),
    ("__kept", |state, a| {
        let kept = root(state)?.session().modules.get(&(to_str(&a[0]), a[1].is_true())).cloned();
        Ok(kept.unwrap_or_default())
    }),
    ("__kw", |_, a| {
        solid(&a[0])?;
        match kind(&a[0]) {
            Kind::Dict(_) => Ok(a[0].clone()),
            _ if value::pairs(&a[0]).is_some() => Ok(a[0].clone()),
            _ => Err(type_error(format!("`**` takes a mapping apart, not {}", value::what(&a[0])))),
        }
    }),
    ("__l", |_, a| Ok(list(a.to_vec()))),
    ("__lj", |_, a| Ok(list(joined(a)?))),
    ("__load", |state, a| super::load::block(state, a)),
    // The first argument is what the second one is called.
    ("__m", |state, a| {
        let [owner, name] = [&a[0], &a[2]].map(|text| text.as_str().unwrap_or_default());
        method(state, &a[1], owner, name, &a[3..])
    }),
    ("__macro", |_, a| {
        let flag = |i: usize| a.get(i).is_some_and(Value::is_true);
        let parameters = a[5..].chunks_exact(2).map(|pair| (to_str(&pair[0]), pair[1].is_true())).collect();
        Ok(Value::from_object(Macro {
            inner: a[0].clone(),
            name: to_str(&a[1]),
            caller: flag(2),
            varargs: flag(3),
            kwargs: flag(4),
            parameters,
        }))
    }),
    ("__neg", |_, a| negate(&a[0])),
    ("__nothing", |_, _| {
        Ok(Value::from_object(Undef {
            message: "the inline `if` has no `else`, and its condition is false".into(),
            hints: Vec::new(),
            looked_in: None,
            silent: true,
        }))
    }),
    ("__o", |_, a| {
        let mut result = a[0].clone();
        for pair in a[1..].chunks_exact(2) {
            result = arithmetic(&result, pair[0].as_str().unwrap_or_default(), &pair[1])?;
        }
        Ok(result)
    }),
    // The first argument is what the second one is called.
    ("__p", |_, a| {
        let mut result = a[1].clone();
        for (i, name) in a.iter().enumerate().skip(2) {
            result = attribute(&result, name, || dotted(&a[0], &a[2..i]))?;
        }
        Ok(result)
    }),
    ("__pos", |_, a| match number(&a[0]) {
        Some(Number::Int(n)) => Ok(value::int(n)),
        Some(Number::Float(n)) => Ok(Value::from(n)),
        None => Err(type_error(format!("`+` stands before a number, not before {}", value::what(&a[0])))),
    }),
    ("__q", |_, a| {
        let mut left = &a[0];
        for pair in a[1..].chunks_exact(2) {
            match compare(left, pair[0].as_str().unwrap_or_default(), &pair[1])? {
                Some(true) => left = &pair[1],
                Some(false) => return Ok(Value::from(false)),
                None => return Ok(if unknown(left) { left.clone() } else { pair[1].clone() }),
            }
        }
        Ok(Value::from(true))
    }),
    // As `__it`, of a loop whose turns take several values: the names of these, how many they are, and what is looped
    // over is called. The engine takes the items apart, but tells little of one that it cannot.
    ("__rows", |state, a| {
        let mut items = rows(&a[0], &a[3])?;
        let wanted = a[2].as_usize().unwrap_or_default();
        let wrong = items.iter().enumerate().find_map(|(i, item)| Some((i + 1, other_than(item, wanted)?)));
        root(state)?.session().unpacking = wrong.map(|(number, found)| Unpacking {
            message: format!(
                "the loop takes {wanted} values at a time, `{}`, and item {number} is {found}",
                to_str(&a[1])
            ),
            hint: value::is_mapping(&a[0]).then(|| match a[3].as_str() {
                Some("") | None => {
                    "a mapping gives its keys alone; `.items()` gives its values, too".to_owned()
                }
                Some(path) => {
                    format!("a mapping gives its keys alone; `{path}.items()` gives its values, too")
                }
            }),
        });
        // Python takes text apart, too.
        for item in items.iter_mut().filter(|item| item.as_str().is_some()) {
            *item = list(iterate(item)?);
        }
        Ok(list(items))
    }),
    ("__s", |_, a| {
        let mut out = String::new();
        for part in a {
            if unknown(part) {
                return Ok(part.clone());
            }
            printable(part)?;
            if !value::is_undefined(part) {
                out.push_str(&to_str(part));
            }
        }
        text(out)
    }),
    ("__set", |_, a| objects::assign(&a[0], a[1].as_str().unwrap_or_default(), &a[2])),
    ("__t", |state, a| {
        let args = Args::of(&a[1..]);
        super::tests::apply(state, a[0].as_str().unwrap_or_default(), &args).map(Value::from)
    }),
    ("__tpl", |state, a| root(state)?.template(state, &a[0], a.get(1).is_some_and(Value::is_true))),
    ("__tpldata", |state, _| {
        let root = root(state)?;
        let session = root.session();
        let dot = session.tpldir.replace('/', ".");
        let dir = if session.tpldir.is_empty() { "." } else { &session.tpldir };
        Ok(tuple(vec![Value::from(session.tplfile.as_str()), Value::from(dir), Value::from(dot)]))
    }),
    ("__u", |_, a| Ok(tuple(a.to_vec()))),
    ("__uj", |_, a| Ok(tuple(joined(a)?))),
    // The names, how many they are, and the value that is to give them theirs.
    ("__up", |_, a| {
        solid(&a[2])?;
        let wanted = a[1].as_usize().unwrap_or_default();
        match other_than(&a[2], wanted) {
            None => iterate(&a[2]).map(list),
            Some(found) => {
                Err(type_error(format!("`{}` takes {wanted} values, and this is {found}", to_str(&a[0]))))
            }
        }
    }),
    ("__v", |state, a| {
        if !a[1].is_undefined() {
            return Ok(a[1].clone());
        }
        let name = a[0].as_str().unwrap_or_default();
        Ok(Undef::value(format!("`{name}` is undefined"), root(state)?.hints_for_name(state, name)))
    }),
    ("__x", |_, a| slice(&a[0], &a[1], &a[2], &a[3])),
    ("__z", |_, a| {
        Ok(match a[0].as_str() {
            Some(text) if text.contains(super::lines::OPEN) => {
                Value::from(super::lines::without_markers(text).as_ref())
            }
            _ => a[0].clone(),
        })
    }),
    ("cycler", |_, a| objects::cycler(a)),
    ("dict", |_, a| {
        let args = Args::of(a);
        let mut entries = match args.positional.first() {
            None => value::Entries::new(),
            Some(from) => methods::entries_of(from)?,
        };
        for (key, item) in &args.keywords {
            entries.insert(Key(Value::from(key.as_str())), item.clone());
        }
        Ok(value::dict(entries, false))
    }),
    ("odict", |_, a| {
        let args = Args::of(a);
        let mut entries = match args.positional.first() {
            None => value::Entries::new(),
            Some(from) => methods::entries_of(from)?,
        };
        for (key, item) in &args.keywords {
            entries.insert(Key(Value::from(key.as_str())), item.clone());
        }
        Ok(value::dict(entries, true))
    }),
    ("ifelse", |state, a| super::calls::local(state, "match.ifelse", &Args::of(a))),
    ("joiner", |_, a| Ok(objects::joiner(a))),
    ("lipsum", |_, _| Err(type_error("`lipsum` makes random text and is not supported"))),
    ("namespace", |_, a| objects::namespace(&Args::of(a))),
    ("raise", |_, a| {
        let message = a.first().map(to_str).unwrap_or_default();
        Err(fault(ErrorKind::InvalidOperation, format!("the template raises `{message}`"), Vec::new()))
    }),
    ("range", |_, a| {
        let args = Args::of(a);
        if args.all().any(unknown) {
            return Err(args.all().find_map(|v| solid(v).err()).unwrap_or_else(|| type_error("unknown")));
        }
        let (start, stop) = match args.len() {
            1 => (0, args.int(0, "stop")?),
            _ => (args.int(0, "start")?, args.int(1, "stop")?),
        };
        let step = args.int_or(2, "step", 1)?;
        if step == 0 {
            return Err(type_error("range() arg 3 must not be zero"));
        }
        let count = if step > 0 {
            (stop - start).max(0).div_euclid(step) + i128::from((stop - start).max(0) % step != 0)
        } else {
            (start - stop).max(0) / -step + i128::from((start - stop).max(0) % -step != 0)
        };
        if count > 100_000 {
            return Err(type_error("a range may have at most 100000 items"));
        }
        Ok(list((0..count).map(|i| value::int(start + i * step)).collect()))
    }),
];

pub(super) fn register(env: &mut Environment<'static>) {
    for (name, function) in FUNCTIONS {
        env.add_global(*name, Value::from_object(Native { name, function: *function }));
    }
}

/// The items of several lists or tuples, one after the other.
fn joined(parts: &[Value]) -> Result<Vec<Value>, Error> {
    let mut items = Vec::new();
    for part in parts {
        items.extend(iterate(part)?);
    }
    Ok(items)
}

/// The functions that every template can call.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name).filter(|name| !name.starts_with('_'))
}

/// Whether a name means something to a rewritten template, so that no template may use it.
pub(super) fn is_taken(name: &str) -> bool {
    let passed_on = ["__b", "__h", "__i0", "__root", "__tk"];
    let is_attribute = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    name.starts_with("__")
        && (passed_on.contains(&name)
            || name.strip_prefix("__a").is_some_and(is_attribute)
            || FUNCTIONS.iter().any(|(function, _)| *function == name))
}

/// The path of a template without the letter of its roots and its version.
pub(super) fn template_name(key: &str) -> &str {
    let path = key.split_once(':').map_or(key, |(_, path)| path);
    path.split_once('\u{0}').map_or(path, |(path, _)| path)
}

pub(super) fn unknown(value: &Value) -> bool {
    matches!(kind(value), Kind::Unknown(_))
}

pub(super) fn text(text: String) -> Result<Value, Error> {
    work::grow("", text.len())?;
    Ok(Value::from(text))
}

/// Fails on what cannot be printed; the missing `else` of an inline `if` prints nothing.
pub(super) fn printable(value: &Value) -> Result<(), Error> {
    match kind(value) {
        Kind::Undef(undef) if !undef.silent => Err(undef.error()),
        _ => Ok(()),
    }
}

// ---- attributes and items ----

/// `a.b.c` of `a` and the names behind it; nothing if `a` has no name.
fn dotted(base: &Value, names: &[Value]) -> String {
    let base = base.as_str().unwrap_or_default();
    let names = names.iter().filter_map(Value::as_str);
    if base.is_empty() {
        String::new()
    } else {
        [base].into_iter().chain(names).collect::<Vec<_>>().join(".")
    }
}

/// `of.name`: an attribute as Jinja2 finds it, that is Python's methods first, then the item.
/// `owner` tells what `of` is called; nothing if it has no name.
fn attribute(of: &Value, name: &Value, owner: impl FnOnce() -> String) -> Result<Value, Error> {
    let text = name.as_str().unwrap_or_default();
    match kind(of) {
        Kind::Undef(undef) => Err(undef.error()),
        Kind::Unknown(_) => Ok(of.clone()),
        Kind::Dict(dict) => {
            if methods::has(of, text) {
                return Ok(Value::from_object(Bound { of: of.clone(), name: text.to_owned() }));
            }
            Ok(dict.get(text).unwrap_or_else(|| {
                let owner = owner();
                missing_key(of, text, if owner.is_empty() { owner } else { format!("{owner}.{text}") })
            }))
        }
        Kind::Other => {
            let found = of.get_attr(text)?;
            if !found.is_undefined() {
                return Ok(found);
            }
            Ok(no_attribute(of, text, &owner()))
        }
        Kind::Seq(seq) if seq.kind == SeqKind::Group && matches!(text, "grouper" | "list") => {
            Ok(seq.read().get(usize::from(text == "list")).cloned().unwrap_or_default())
        }
        _ if methods::has(of, text) => {
            Ok(Value::from_object(Bound { of: of.clone(), name: text.to_owned() }))
        }
        _ => Ok(missing(of, text, &owner()).into()),
    }
}

/// An attribute or a method that neither text nor a number, a list or None has. `owner` is what it is called.
pub(super) fn missing(of: &Value, name: &str, owner: &str) -> Undef {
    let what = value::what(of);
    let message = match owner {
        "" => format!("{what} has no `{name}`"),
        _ => format!("`{owner}` is {what}, so it has no `{name}`"),
    };
    let hint = match (methods::near(of, name), kind(of)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Kind::None) => NONE.to_owned(),
        (None, Kind::Seq(seq)) if seq.kind == SeqKind::List => {
            "the items of a list have numbers: the first is `[0]`".to_owned()
        }
        _ => return Undef::new(message, Vec::new()),
    };
    Undef::new(message, vec![hint])
}

/// An attribute that a module, a namespace, a loop, `salt` or a function does not have. `owner` is what it is called.
fn no_attribute(of: &Value, name: &str, owner: &str) -> Value {
    let message = || match (owner, of.kind()) {
        ("", ValueKind::Map) => format!("the imported template or object has no `{name}`"),
        ("", _) => format!("`{of}` has no `{name}`"),
        _ => format!("`{owner}` has no `{name}`"),
    };
    salt::missing(of, name).unwrap_or_else(|| Undef::value(message(), hints_of(of, name)))
}

fn hints_of(of: &Value, name: &str) -> Vec<String> {
    if of.kind() != ValueKind::Map {
        return Vec::new();
    }
    let names: Vec<String> = of.try_iter().map(|keys| keys.map(|k| to_str(&k)).collect()).unwrap_or_default();
    super::nearest(name, names.iter().map(String::as_str))
        .map(|near| format!("it has `{near}`"))
        .into_iter()
        .collect()
}

/// A key that a mapping does not have. `path` is what it would be called, if it has a name.
fn missing_key(of: &Value, name: &str, path: String) -> Value {
    let missing = format!("the mapping has no key `{name}`");
    let message = if path.is_empty() { missing } else { format!("`{path}` is undefined: {missing}") };
    Undef::in_mapping(message, of, name)
}

/// `of[key]`: the item, then the attribute.
pub(super) fn item(of: &Value, key: &Value) -> Result<Value, Error> {
    item_of(of, key, "")
}

/// `owner` is what `of` is called, if it has a name.
fn item_of(of: &Value, key: &Value, owner: &str) -> Result<Value, Error> {
    match (kind(of), kind(key)) {
        (Kind::Undef(undef), _) | (_, Kind::Undef(undef)) => Err(undef.error()),
        (Kind::Unknown(_), _) => Ok(of.clone()),
        (_, Kind::Unknown(_)) => Ok(key.clone()),
        (Kind::Dict(dict), _) => {
            let found = match key.as_str() {
                Some(text) => dict.get(text),
                None => dict.read().get(&Key::new(key)?).cloned(),
            };
            if let Some(found) = found {
                return Ok(found);
            }
            match key.as_str() {
                Some(text) if methods::has(of, text) => {
                    Ok(Value::from_object(Bound { of: of.clone(), name: text.to_owned() }))
                }
                _ if owner.is_empty() => Ok(missing_key(of, &to_str(key), String::new())),
                _ => Ok(missing_key(of, &to_str(key), format!("{owner}[{}]", value::repr(key)))),
            }
        }
        (Kind::Seq(_) | Kind::Str(_) | Kind::Bytes(_), _) if number(key).is_some() => {
            let found = match number(key) {
                Some(Number::Int(index)) => nth(of, clamped(&index))?,
                _ => None,
            };
            Ok(found.unwrap_or_else(|| {
                let what = format!("{} of {}", value::what(of), value::len(of).unwrap_or_default());
                let whose = if owner.is_empty() { what } else { format!("`{owner}` is {what}, and") };
                Undef::value(format!("{whose} has nothing at index {}", to_str(key)), Vec::new())
            }))
        }
        (Kind::Other, _) => {
            let found = match key.as_str() {
                Some(text) => of.get_attr(text)?,
                None => of.get_item(key)?,
            };
            if found.is_undefined() {
                return Ok(no_attribute(of, &to_str(key), owner));
            }
            Ok(found)
        }
        (_, Kind::Str(_)) => attribute(of, key, || owner.to_owned()),
        _ => Ok(missing(of, &format!("[{}]", value::repr(key)), owner).into()),
    }
}

fn nth(of: &Value, index: i128) -> Result<Option<Value>, Error> {
    let length = value::len(of)? as i128;
    let index = if index < 0 { index + length } else { index };
    let Some(index) = usize::try_from(index).ok().filter(|i| (*i as i128) < length) else { return Ok(None) };
    Ok(match kind(of) {
        Kind::Seq(seq) => seq.read().get(index).cloned(),
        Kind::Str(text) => text.chars().nth(index).map(|c| Value::from(c.to_string())),
        Kind::Bytes(bytes) => bytes.get(index).map(|b| Value::from(*b)),
        _ => None,
    })
}

fn slice(of: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    if let Some(unknown) = [of, start, stop, step].into_iter().find(|v| unknown(v)) {
        return Ok(unknown.clone());
    }
    solid(of)?;
    let part = |value: &Value| -> Result<Option<i128>, Error> {
        solid(value)?;
        match number(value) {
            _ if value.is_none() => Ok(None),
            Some(Number::Int(n)) => Ok(Some(clamped(&n))),
            _ => Err(type_error("slice indices must be integers or None")),
        }
    };
    let (start, stop, step) = (part(start)?, part(stop)?, part(step)?.unwrap_or(1));
    if step == 0 {
        return Err(type_error("slice step cannot be zero"));
    }
    let length = value::len(of)? as i128;
    let clamp = |n: Option<i128>, default: i128| {
        n.map_or(default, |n| {
            let n = if n < 0 { n + length } else { n };
            if step > 0 { n.clamp(0, length) } else { n.clamp(-1, length - 1) }
        })
    };
    let (mut at, end) = if step > 0 {
        (clamp(start, 0), clamp(stop, length))
    } else {
        (clamp(start, length - 1), clamp(stop, -1))
    };
    let mut indexes = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        indexes.extend(usize::try_from(at));
        at += step;
    }
    Ok(match kind(of) {
        Kind::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Value::from(indexes.into_iter().filter_map(|i| chars.get(i)).collect::<String>())
        }
        Kind::Bytes(bytes) => {
            Value::from_bytes(indexes.into_iter().filter_map(|i| bytes.get(i).copied()).collect())
        }
        Kind::Seq(seq) if seq.kind != SeqKind::Set => {
            let items = seq.snapshot();
            value::seq(seq.kind, indexes.into_iter().filter_map(|i| items.get(i).cloned()).collect())
        }
        _ => return Err(type_error(format!("{} has no slices", value::what(of)))),
    })
}

/// What a loop goes through. `path` is what it is called, if it has a name.
fn rows(of: &Value, path: &Value) -> Result<Vec<Value>, Error> {
    iterate(of).map_err(|error| match (kind(of), path.as_str()) {
        (Kind::Undef(_) | Kind::Unknown(_), _) | (_, None | Some("")) => error,
        (kind, Some(path)) => {
            let hints = matches!(kind, Kind::None).then(|| NONE.to_owned()).into_iter().collect();
            let message = format!("`{path}` is {}, which is not iterable", value::what(of));
            fault(ErrorKind::InvalidOperation, message, hints)
        }
    })
}

/// Why something may be None.
const NONE: &str = "None is what a key without a value gives, and a `get` that finds nothing";

/// What a value is that cannot be taken apart into so many.
fn other_than(value: &Value, wanted: usize) -> Option<String> {
    let what = value::what(value);
    match value::len(value) {
        Ok(length) if length == wanted => None,
        Ok(length) => Some(match kind(value) {
            Kind::Str(_) => what.to_owned(),
            _ => format!("{what} of {length}"),
        }),
        Err(_) => matches!(kind(value), Kind::None | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_))
            .then(|| what.to_owned()),
    }
}

// ---- calls ----

/// `of.name(args)`. `owner` is what `of` is called, if it has a name.
fn method(
    state: &mut State<'_, '_>,
    of: &Value,
    owner: &str,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match kind(of) {
        Kind::Undef(undef) => Err(undef.error()),
        Kind::Unknown(_) => Ok(of.clone()),
        Kind::Other => {
            let found = of.get_attr(name)?;
            if !found.is_undefined() {
                return call_value(state, &found, name, args);
            }
            of.call_method(state, name, args).map_err(|error| match error.kind() {
                ErrorKind::UnknownMethod => solid(&no_attribute(of, name, owner)).err().unwrap_or(error),
                _ => error,
            })
        }
        Kind::Dict(dict) if !methods::has(of, name) => {
            let path = || if owner.is_empty() { String::new() } else { format!("{owner}.{name}") };
            let missing = || match methods::near(of, name) {
                Some(_) => missing(of, name, owner).into(),
                None => missing_key(of, name, path()),
            };
            call_value(state, &dict.get(name).unwrap_or_else(missing), &path(), args)
        }
        _ if !methods::has(of, name) => Err(missing(of, name, owner).error()),
        _ => methods::call(state, of, name, &Args::of(args)),
    }
}

/// `name` is what the function is called, if it has a name.
fn call_value(
    state: &mut State<'_, '_>,
    function: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match kind(function) {
        Kind::Undef(undef) => Err(undef.error()),
        Kind::Unknown(_) => Ok(function.clone()),
        Kind::Other => function.call(state, args),
        _ if name.is_empty() => Err(type_error(format!("{} cannot be called", value::what(function)))),
        _ => Err(type_error(format!("`{name}` is {}, which cannot be called", value::what(function)))),
    }
}

/// A macro with Python's rules for its arguments.
struct Macro {
    inner: Value,
    name: String,
    caller: bool,
    varargs: bool,
    kwargs: bool,
    /// Names, and whether they have a default.
    parameters: Vec<(String, bool)>,
}

impl Macro {
    /// Its parameters, as a sentence has them.
    fn names(&self) -> String {
        let names: Vec<String> = self.parameters.iter().map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

impl fmt::Debug for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Macro '{}'>", self.name)
    }
}

impl Object for Macro {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "arguments" => tuple(self.parameters.iter().map(|(n, _)| Value::from(n.as_str())).collect()),
            "catch_kwargs" => Value::from(self.kwargs),
            "catch_varargs" => Value::from(self.varargs),
            "caller" => Value::from(self.caller),
            _ => return None,
        })
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let mut args = Args::of(args);
        let extra = args.positional.split_off(self.parameters.len().min(args.len()));
        let mut values = args.positional;
        for (name, default) in &self.parameters[values.len()..] {
            let given = args.keywords.iter().position(|(k, _)| k == name).map(|i| args.keywords.remove(i).1);
            values.push(match given {
                Some(value) => value,
                // Undefined is how the macro's own text sees that a default is wanted.
                None if *default => Value::UNDEFINED,
                None => Undef::value(
                    format!("the macro `{}` was called without its argument `{name}`", self.name),
                    Vec::new(),
                ),
            });
        }
        if let Some((name, _)) =
            args.keywords.iter().find(|(k, _)| self.parameters.iter().any(|(n, _)| n == k))
        {
            return Err(type_error(format!(
                "the macro `{}` was given its argument `{name}` twice",
                self.name
            )));
        }
        let own = |word: &str| self.parameters.iter().any(|(n, _)| n == word);
        let caller = args.keywords.iter().position(|(k, _)| k == "caller").map(|i| args.keywords.remove(i).1);
        if !own("caller") {
            if caller.is_some() && !self.caller {
                return Err(type_error(format!(
                    "the macro `{}` was called by `{{% call %}}`, but does not use `caller()`",
                    self.name
                )));
            }
            values.push(caller.unwrap_or_else(|| {
                Undef::value("`caller` is defined only where the macro is called by `{% call %}`", Vec::new())
            }));
        }
        if !own("varargs") {
            if !extra.is_empty() && !self.varargs {
                return Err(type_error(format!(
                    "too many arguments for the macro `{}`, which takes {}",
                    self.name,
                    self.names()
                )));
            }
            values.push(tuple(extra));
        }
        if !own("kwargs") {
            if let Some((name, _)) = args.keywords.first().filter(|_| !self.kwargs) {
                let hints = super::nearest(name, self.parameters.iter().map(|(n, _)| n.as_str()))
                    .map(|n| format!("did you mean `{n}`?"));
                return Err(fault(
                    ErrorKind::TooManyArguments,
                    format!("the macro `{}` has no argument `{name}`", self.name),
                    hints.into_iter().collect(),
                ));
            }
            values.push(value::dict(
                args.keywords.into_iter().map(|(k, v)| (Key(Value::from(k)), v)).collect(),
                false,
            ));
        }
        self.inner.call(state, &values).map_err(|error| {
            if error.line().is_none() {
                return error;
            }
            Error::new(ErrorKind::EvalBlock, format!("in the macro `{}`", self.name)).with_source(error)
        })
    }
}

// ---- operators ----

fn negate(value: &Value) -> Result<Value, Error> {
    if unknown(value) {
        return Ok(value.clone());
    }
    solid(value)?;
    match number(value) {
        Some(Number::Int(n)) => Ok(value::int(-n)),
        Some(Number::Float(n)) => Ok(Value::from(-n)),
        None => Err(type_error(format!("`-` stands before a number, not before {}", value::what(value)))),
    }
}

/// `None` where one side waits for the host.
fn compare(a: &Value, sign: &str, b: &Value) -> Result<Option<bool>, Error> {
    if unknown(a) || unknown(b) {
        return Ok(None);
    }
    solid(a)?;
    solid(b)?;
    Ok(Some(match sign {
        "==" => equal(a, b),
        "!=" => !equal(a, b),
        "<" => order(a, b, sign)? == Ordering::Less,
        "<=" => order(a, b, sign)? != Ordering::Greater,
        ">" => order(a, b, sign)? == Ordering::Greater,
        ">=" => order(a, b, sign)? != Ordering::Less,
        "in" => contains(b, a)?,
        _ => !contains(b, a)?,
    }))
}

pub(super) fn contains(container: &Value, value: &Value) -> Result<bool, Error> {
    Ok(match (kind(container), kind(value)) {
        (Kind::Str(text), Kind::Str(part)) => {
            work::bytes(text.len());
            text.contains(part)
        }
        (Kind::Str(_), _) => {
            let message = format!("`in` looks for text in text, not for {}", value::what(value));
            return Err(type_error(message));
        }
        (Kind::Dict(dict), _) => match value.as_str() {
            Some(text) => dict.get(text).is_some(),
            None => dict.read().contains_key(&Key::new(value)?),
        },
        (Kind::Other, Kind::Str(name)) if container.kind() == ValueKind::Plain => {
            !container.get_attr(name)?.is_undefined()
        }
        (Kind::None | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_), _) => {
            let message =
                format!("`in` looks into lists, mappings and text, not into {}", value::what(container));
            return Err(type_error(message));
        }
        _ => iterate(container)?.iter().any(|item| equal(item, value)),
    })
}

/// `a + b`, for filters.
pub(super) fn plus(a: &Value, b: &Value) -> Result<Value, Error> {
    arithmetic(a, "+", b)
}

fn arithmetic(a: &Value, sign: &str, b: &Value) -> Result<Value, Error> {
    for value in [a, b] {
        if unknown(value) {
            return Ok(value.clone());
        }
    }
    solid(a)?;
    solid(b)?;
    if let (Some(x), Some(y)) = (number(a), number(b)) {
        return numeric(x, sign, y);
    }
    let fail = || value::mismatch(a, sign, b);
    match (sign, kind(a), kind(b)) {
        ("%", Kind::Str(template), _) => text(format::percent(template, b)?),
        // What `json` and `yaml` give is markup to Jinja2, and what is added to markup is escaped for HTML.
        ("+", Kind::Str(x), Kind::Str(y)) if a.is_safe() || b.is_safe() => {
            Ok(Value::from_safe_string(format!("{}{}", markup(a, x), markup(b, y))))
        }
        ("+", Kind::Str(x), Kind::Str(y)) => text(format!("{x}{y}")),
        ("+", Kind::Bytes(x), Kind::Bytes(y)) => Ok(Value::from_bytes([x, y].concat())),
        ("+", Kind::Seq(x), Kind::Seq(y)) if x.kind == y.kind && x.kind != SeqKind::Set => {
            work::list_of(x.read().len() + y.read().len())?;
            let mut items = x.snapshot();
            items.extend(y.snapshot());
            Ok(value::seq(x.kind, items))
        }
        ("-", Kind::Seq(x), Kind::Seq(y)) if x.kind == SeqKind::Set && y.kind == SeqKind::Set => {
            let others = y.snapshot();
            value::set(x.snapshot().into_iter().filter(|v| !others.iter().any(|o| equal(o, v))))
        }
        ("*", _, _) => {
            let (of, times) = match (number(a), number(b)) {
                (None, Some(Number::Int(n))) => (a, clamped(&n)),
                (Some(Number::Int(n)), None) => (b, clamped(&n)),
                _ => return Err(fail()),
            };
            let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
            let length = value::len(of).map_err(|_| fail())?;
            match kind(of) {
                Kind::Str(part) => {
                    work::grow("", part.len().saturating_mul(times))?;
                    text(part.repeat(times))
                }
                Kind::Seq(seq) if seq.kind != SeqKind::Set => {
                    work::list_of(length.saturating_mul(times))?;
                    let times = if length == 0 { 0 } else { times };
                    let items = seq.snapshot();
                    Ok(value::seq(seq.kind, std::iter::repeat_n(items, times).flatten().collect()))
                }
                _ => Err(fail()),
            }
        }
        _ => Err(fail()),
    }
}

fn markup(value: &Value, text: &str) -> String {
    if value.is_safe() { text.to_owned() } else { super::filters::html(text) }
}

fn numeric(x: Number, sign: &str, y: Number) -> Result<Value, Error> {
    let zero = || type_error(if sign == "%" { "integer modulo by zero" } else { "division by zero" });
    if let (Number::Int(a), Number::Int(b)) = (&x, &y) {
        match sign {
            "+" => return whole(a + b),
            "-" => return whole(a - b),
            "*" => return whole(a * b),
            "//" | "%" | "/" if b.is_zero() => return Err(zero()),
            "/" => return true_division(a, b),
            "//" => return whole(floor_division(a, b)),
            "%" => return whole(a - floor_division(a, b) * b),
            "**" if b.sign() != Sign::Minus => return whole(power(a, b)?),
            "**" if a.is_zero() => return Err(type_error("0.0 cannot be raised to a negative power")),
            _ => {}
        }
    }
    let (a, b) = (float(&x)?, float(&y)?);
    Ok(Value::from(match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "//" | "%" if b == 0.0 => return Err(zero()),
        "/" => a / b,
        "//" => (a / b).floor(),
        "%" => a - (a / b).floor() * b,
        _ => a.powf(b),
    }))
}

fn whole(n: BigInt) -> Result<Value, Error> {
    if n.bits() > MAX_BITS { Err(large()) } else { Ok(value::int(n)) }
}

fn large() -> Error {
    type_error("the number becomes too large")
}

fn float(n: &Number) -> Result<f64, Error> {
    match n {
        Number::Int(_) if n.float().is_infinite() => Err(type_error("int too large to convert to float")),
        _ => Ok(n.float()),
    }
}

/// Rounds once: two integers that no float holds may have a quotient that one does.
fn true_division(a: &BigInt, b: &BigInt) -> Result<Value, Error> {
    let shift = (b.bits() + 55).saturating_sub(a.bits());
    let scaled = a.magnitude() << shift;
    let mut quotient: BigUint = (&scaled / b.magnitude()) << 1;
    // The last bit stands for all that come after, which is what rounding needs to know.
    quotient.set_bit(0, !(scaled % b.magnitude()).is_zero());
    let half = |exponent: u64| 2f64.powi(-i32::try_from(exponent).unwrap_or(i32::MAX));
    let size = quotient.to_f64().unwrap_or(f64::INFINITY) * half(shift / 2) * half(shift + 1 - shift / 2);
    if size.is_infinite() {
        return Err(type_error("integer division result too large for a float"));
    }
    let negative = (a.sign() == Sign::Minus) != (b.sign() == Sign::Minus);
    Ok(Value::from(if negative { -size } else { size }))
}

fn power(base: &BigInt, exponent: &BigInt) -> Result<BigInt, Error> {
    match u32::try_from(exponent) {
        Ok(exponent) if base.bits().saturating_sub(1) * u64::from(exponent) <= MAX_BITS => {
            Ok(base.pow(exponent))
        }
        _ => Err(large()),
    }
}

fn floor_division(a: &BigInt, b: &BigInt) -> BigInt {
    let (quotient, rest) = (a / b, a % b);
    if !rest.is_zero() && rest.sign() != b.sign() { quotient - 1 } else { quotient }
}
