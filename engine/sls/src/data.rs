//! Ways through pillar and grains: paths with colons, merging.

use kstate_core::{Data, Map, Value};

use crate::yaml;

/// What a path with colons leads to (Salt: `traverse_dict_and_list`): keys of mappings, places in lists; a key that is
/// no text is found by what YAML makes of it.
pub(crate) fn traverse<'a>(value: &'a Value, path: &str, delimiter: &str) -> Option<&'a Value> {
    let mut found = value;
    for key in path.split(delimiter) {
        found = match found {
            Value::Map(map) => by_key(map, key)?,
            Value::List(items) => {
                let maps = || items.iter().filter_map(Value::as_map);
                match key.trim().parse::<i64>() {
                    Ok(index) => match maps().find_map(|map| map.get_key(&Value::Int(index))) {
                        Some(value) => value,
                        None => {
                            let index =
                                if index < 0 { index + i64::try_from(items.len()).ok()? } else { index };
                            items.get(usize::try_from(index).ok()?)?
                        }
                    },
                    Err(_) => maps().find_map(|map| map.get(key))?,
                }
            }
            _ => return None,
        };
    }
    Some(found)
}

fn by_key<'a>(map: &'a Map, key: &str) -> Option<&'a Value> {
    map.get(key).or_else(|| {
        let Data::Scalar(loaded) = yaml::load(key, &|_| kstate_core::Position::new("", 1, 1)).ok()?.data
        else {
            return None;
        };
        // A key that YAML takes for a text has been looked up already.
        if loaded.as_str().is_some() { None } else { map.get_key(&loaded) }
    })
}

/// Decides what a list does to the list that it is merged over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    Replace,
    /// Appends the items that are not there yet.
    Join,
}

/// Merges `over` into `under`: mappings key by key, lists as `lists` says, anything else replaces.
pub(crate) fn merge(under: &mut Map, over: &Map, lists: Lists) {
    for (key, value) in over.iter() {
        match (under.get_key_mut(key), value) {
            (Some(Value::Map(old)), Value::Map(new)) => merge(old, new, lists),
            (Some(Value::List(old)), Value::List(new)) if lists == Lists::Join => join(old, new),
            (Some(old), new) => *old = new.clone(),
            (None, new) => under.insert(key.clone(), new.clone()),
        }
    }
}

fn join(under: &mut Vec<Value>, over: &[Value]) {
    for item in over {
        if !under.contains(item) {
            under.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        yaml::load(text, &|_| kstate_core::Position::new("", 1, 1)).unwrap().value()
    }

    #[test]
    fn a_path_leads_through_mappings_lists_and_numbers() {
        let data = value("{a: {b: [x, {c: d}], 8080: port, on: yes}}");
        for (path, expected) in
            [("a:b:0", "x"), ("a:b:c", "d"), ("a:8080", "port"), ("a:on", "True"), ("a:b:-2", "x")]
        {
            assert_eq!(
                traverse(&data, path, ":").map(ToString::to_string).as_deref(),
                Some(expected),
                "{path}"
            );
        }
        for path in ["a:z", "a:b:7", "a:b:0:x", "z"] {
            assert_eq!(traverse(&data, path, ":"), None, "{path}");
        }
    }

    #[test]
    fn mappings_merge_and_anything_else_replaces() {
        let Value::Map(mut under) = value("{a: {b: 1, c: [1]}, d: {e: 1}, f: 1}") else { panic!() };
        let Value::Map(over) = value("{a: {c: [2], g: 3}, d: 4, f: {h: 5}}") else { panic!() };
        merge(&mut under, &over, Lists::Replace);
        assert_eq!(Value::Map(under.clone()).to_string(), "{a: {b: 1, c: [2], g: 3}, d: 4, f: {h: 5}}");
        let Value::Map(over) = value("{a: {c: [2, 3]}, d: [5]}") else { panic!() };
        merge(&mut under, &over, Lists::Join);
        assert_eq!(Value::Map(under).to_string(), "{a: {b: 1, c: [2, 3], g: 3}, d: [5], f: {h: 5}}");
    }
}
