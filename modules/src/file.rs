//! Files, directories and links.

mod managed;

pub(crate) use managed::Managed;

use kstate_core::question::PathInfo;
use kstate_core::{Attributes, Change};

use crate::kinds::Mode;

/// What differs between what is declared about owner and mode and what is there. What is not declared never differs.
pub(crate) fn attribute_changes(wanted: &Attributes, there: Option<&PathInfo>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |subject: &str, wanted: Option<String>, there: Option<[String; 2]>| {
        let Some(wanted) = wanted else { return };
        match there {
            Some(names) if names.contains(&wanted) => {}
            Some([name, _]) => changes.push(Change::new(subject, name, wanted)),
            None => changes.push(Change::new(subject, kstate_core::Value::Null, wanted)),
        }
    };
    let mode = |mode: u32| Mode(mode).to_string();
    compare("mode", wanted.mode.map(mode), there.map(|info| [mode(info.mode), mode(info.mode)]));
    // An owner may be declared by name or by number.
    compare("user", wanted.user.clone(), there.map(|info| [info.user.clone(), info.uid.to_string()]));
    compare("group", wanted.group.clone(), there.map(|info| [info.group.clone(), info.gid.to_string()]));
    changes
}
