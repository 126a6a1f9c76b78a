//! What differs between the states of a target in two revisions of the tree.

use std::collections::{BTreeSet, HashMap, HashSet};

use kstate_core::arguments::is_common;
use kstate_core::{Change, Chunk, Content, Map, Secrets, Value};
use kstate_modules::text;

/// A state of one revision.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) chunk: &'a Chunk,
    /// `None`: its arguments are wrong, so nobody knows.
    pub(crate) contents: Option<Vec<Content>>,
}

/// The states of one revision.
#[derive(Debug, Default)]
pub(crate) struct States<'a> {
    /// In the order of their run, if they have one.
    pub(crate) states: Vec<State<'a>>,
    pub(crate) is_ordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Added,
    Changed,
    Removed,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Removed => "removed",
        }
    }
}

/// A state that is not the same in both revisions. It is told as it is in the second one, or was before it went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Differing {
    pub(crate) kind: Kind,
    pub(crate) function: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) sls: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) changes: Vec<Change>,
}

/// What differs, in the order of the run: what is new or changes, then what goes.
pub(crate) fn difference(before: &States<'_>, after: &States<'_>, secrets: &Secrets) -> Vec<Differing> {
    let pairs = pairs(&before.states, &after.states);
    let moved =
        if before.is_ordered && after.is_ordered { moves(before, after, &pairs) } else { HashMap::new() };
    let mut found = Vec::new();
    for pair in pairs {
        let old = pair.before.map(|index| &before.states[index]);
        let new = pair.after.map(|index| &after.states[index]);
        let mut changes = changes(old, new);
        changes.extend(pair.after.and_then(|index| moved.get(&index).cloned()));
        let (kind, told) = match (old, new) {
            (Some(_), Some(_)) if changes.is_empty() => continue,
            (Some(_), Some(new)) => (Kind::Changed, new),
            (None, Some(new)) => (Kind::Added, new),
            (Some(old), None) => (Kind::Removed, old),
            (None, None) => continue,
        };
        found.push(differing(kind, told.chunk, &changes, secrets));
    }
    found
}

fn differing(kind: Kind, chunk: &Chunk, changes: &[Change], secrets: &Secrets) -> Differing {
    Differing {
        kind,
        function: chunk.function(),
        id: secrets.mask_name(&chunk.id),
        name: secrets.mask_name(&chunk.name),
        sls: chunk.sls.clone(),
        file: chunk.at.file.to_string(),
        line: chunk.at.line,
        changes: changes.iter().map(|change| masked(change, secrets)).collect(),
    }
}

/// The secrets of both revisions are known, so no line has to be hidden whole for what it may have held.
fn masked(change: &Change, secrets: &Secrets) -> Change {
    let diff = change.diff.as_deref().map(|diff| secrets.mask(diff));
    Change { diff, ..secrets.mask_change(change) }
}

/// A state of one revision and what has become of it in the other, as places in their lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    before: Option<usize>,
    after: Option<usize>,
}

/// A state is the same by module, id and name. One whose name or id alone has changed is known by what is left, if no
/// other has that, too.
fn pairs(before: &[State<'_>], after: &[State<'_>]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> =
        (0..after.len()).map(|index| Pair { before: None, after: Some(index) }).collect();
    let mut gone: BTreeSet<usize> = (0..before.len()).collect();
    type Key<'a> = fn(&'a Chunk) -> [&'a str; 3];
    let keys: [Key<'_>; 3] = [
        |chunk| [&chunk.state, &chunk.id, &chunk.name],
        |chunk| [&chunk.state, &chunk.id, ""],
        |chunk| [&chunk.state, "", &chunk.name],
    ];
    for key in keys {
        let mut old: HashMap<[&str; 3], Vec<usize>> = HashMap::new();
        for index in &gone {
            old.entry(key(before[*index].chunk)).or_default().push(*index);
        }
        let mut new: HashMap<[&str; 3], Vec<usize>> = HashMap::new();
        for index in (0..after.len()).filter(|index| pairs[*index].before.is_none()) {
            new.entry(key(after[index].chunk)).or_default().push(index);
        }
        for (key, places) in new {
            if let ([new], Some([old])) = (places.as_slice(), old.get(&key).map(Vec::as_slice)) {
                pairs[*new].before = Some(*old);
                gone.remove(old);
            }
        }
    }
    pairs.extend(gone.into_iter().map(|index| Pair { before: Some(index), after: None }));
    pairs
}

/// What differs in a state; all that it has if it is in one revision only.
fn changes(before: Option<&State<'_>>, after: Option<&State<'_>>) -> Vec<Change> {
    let mut found = Vec::new();
    if let (Some(old), Some(new)) = (before, after) {
        let (old, new) = (old.chunk, new.chunk);
        let functions = [old.function(), new.function()];
        for (subject, old, new) in [
            ("function", &functions[0], &functions[1]),
            ("id", &old.id, &new.id),
            ("name", &old.name, &new.name),
        ] {
            if old != new {
                found.push(texts(subject, Some(old), Some(new)));
            }
        }
    }
    for name in arguments(before, after) {
        let value = |state: &State<'_>| state.chunk.argument(&name).map(kstate_core::Node::value);
        let [old, new] = [before, after].map(|state| state.and_then(value));
        if !(is_content(before, old.as_ref()) && is_content(after, new.as_ref())) {
            values(&name, old.as_ref(), new.as_ref(), &mut found);
        }
    }
    found.extend(contents(before, after));
    found
}

/// The names of all arguments, those of the second revision first.
fn arguments(before: Option<&State<'_>>, after: Option<&State<'_>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in after.into_iter().chain(before).flat_map(|state| &state.chunk.arguments) {
        if !shows_elsewhere(name) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// An order number says nothing by itself, and what a state asks of others by `require_in` stands at those as `require`.
fn shows_elsewhere(argument: &str) -> bool {
    argument == "order" || (argument.ends_with("_in") && argument != "listen_in" && is_common(argument))
}

/// Whether an argument is what the state brings to the host, so that it need not be told twice.
fn is_content(state: Option<&State<'_>>, argument: Option<&Value>) -> bool {
    let Some(argument) = argument else { return true };
    let text = match argument {
        Value::List(lines) => lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    };
    let is_it = |content: &Content| content.bytes.trim_ascii_end() == text.trim_end().as_bytes();
    state.and_then(|state| state.contents.as_deref()).unwrap_or_default().iter().any(is_it)
}

fn contents(before: Option<&State<'_>>, after: Option<&State<'_>>) -> Vec<Change> {
    let known = |state: Option<&'_ State<'_>>| match state {
        Some(state) => state.contents.clone(),
        None => Some(Vec::new()),
    };
    let (Some(old), Some(new)) = (known(before), known(after)) else { return Vec::new() };
    let mut subjects: Vec<&str> = Vec::new();
    for content in new.iter().chain(&old) {
        if !subjects.contains(&content.subject.as_str()) {
            subjects.push(&content.subject);
        }
    }
    let change = |subject: &&str| {
        let [old, new] = [&old, &new].map(|side| side.iter().find(|content| content.subject == *subject));
        text::between(old, new)
    };
    subjects.iter().filter_map(change).collect()
}

/// The changes from one value to another, key by key and item by item. Keys have no order.
fn values(subject: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Change>) {
    let none = Map::new();
    match (old, new) {
        (old, new) if old == new => {}
        (None | Some(Value::Map(_)), None | Some(Value::Map(_))) => {
            let [old, new] = [old, new].map(|side| side.and_then(Value::as_map).unwrap_or(&none));
            let gone = old.iter().filter(|(key, _)| new.get_key(key).is_none());
            for (key, _) in new.iter().chain(gone) {
                values(&format!("{subject}:{key}"), old.get_key(key), new.get_key(key), found);
            }
        }
        (None | Some(Value::Text(_)), None | Some(Value::Text(_))) => {
            found.push(texts(subject, old.and_then(Value::as_str), new.and_then(Value::as_str)));
        }
        _ => {
            let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
            let change = Change::new(subject, value(old), value(new));
            found.push(match (old, new) {
                (None | Some(Value::List(_)), None | Some(Value::List(_))) => items(change, old, new),
                _ => change,
            });
        }
    }
}

/// Tells the items of a list that go and come, unless they only change places.
fn items(change: Change, old: Option<&Value>, new: Option<&Value>) -> Change {
    let [old, new] = [old, new].map(|side| side.and_then(Value::as_list).unwrap_or_default());
    let told = |item: &Value| match item {
        Value::Map(map) if map.len() == 1 => {
            map.iter().map(|(key, value)| format!("{key}: {value}")).collect()
        }
        other => other.to_string(),
    };
    let gone = old.iter().filter(|item| !new.contains(item)).map(|item| signed('-', &told(item)));
    let came = new.iter().filter(|item| !old.contains(item)).map(|item| signed('+', &told(item)));
    let lines: String = gone.chain(came).collect();
    if lines.is_empty() { change } else { change.diff(lines) }
}

/// Short texts stand side by side, long ones and those of several lines one above the other.
fn texts(subject: &str, old: Option<&str>, new: Option<&str>) -> Change {
    const SHORT: usize = 60;
    let value = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let change = Change::new(subject, value(old), value(new));
    let is_long = |text: &str| text.contains('\n') || text.chars().count() > SHORT;
    if !old.into_iter().chain(new).any(is_long) {
        return change;
    }
    match (old, new) {
        (Some(old), Some(new)) if old.contains('\n') || new.contains('\n') => {
            let diff = text::unified(subject, old, new);
            // Without its head, for the subject is told above it.
            change.diff(diff.splitn(3, '\n').last().unwrap_or_default())
        }
        _ => change.diff(
            old.map_or(String::new(), |old| signed('-', old))
                + &new.map_or(String::new(), |new| signed('+', new)),
        ),
    }
}

fn signed(sign: char, text: &str) -> String {
    text.lines().map(|line| format!("{sign}{line}\n")).collect()
}

/// Which states have changed places, by their place in the second revision. As few as can be: a state that follows the
/// same one as before has moved with it.
fn moves(before: &States<'_>, after: &States<'_>, pairs: &[Pair]) -> HashMap<usize, Change> {
    let both = pairs.iter().filter_map(|pair| Some((pair.before?, pair.after?)));
    let is_called_as_before = |(old, new): &(usize, usize)| {
        let (old, new) = (before.states[*old].chunk, after.states[*new].chunk);
        (&old.id, &old.name) == (&new.id, &new.name)
    };
    let common: Vec<(usize, usize)> = both.filter(is_called_as_before).collect();
    let old: Vec<usize> = common.iter().map(|(old, _)| *old).collect();
    let mut sorted = old.clone();
    sorted.sort_unstable();
    let led: HashMap<usize, usize> = sorted.windows(2).map(|pair| (pair[1], pair[0])).collect();
    let place = |states: &States<'_>, index: Option<usize>| match index {
        Some(index) => format!("after {}", states.states[index].chunk),
        None => "first".to_owned(),
    };
    let stay = longest_rise(&old);
    let mut moved = HashMap::new();
    for (place_now, (old_index, new_index)) in common.iter().enumerate() {
        let now = place_now.checked_sub(1).map(|above| common[above]);
        let was = led.get(old_index).copied();
        if !stay.contains(&place_now) && now.map(|(old, _)| old) != was {
            let change = Change::new("order", place(before, was), place(after, now.map(|(_, new)| new)));
            moved.insert(*new_index, change);
        }
    }
    moved
}

/// The places of a longest rising subsequence of different numbers.
fn longest_rise(numbers: &[usize]) -> HashSet<usize> {
    // For each length, the place of the least number that ends such a sequence; and for each place, what comes before.
    let mut ends: Vec<usize> = Vec::new();
    let mut above: Vec<Option<usize>> = Vec::new();
    for (place, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        above.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    std::iter::successors(ends.last().copied(), |place| above[*place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate_core::{Data, Node, Position};

    fn at() -> Position {
        Position::new("a.sls", 1, 1)
    }

    fn chunk(id: &str, name: &str, arguments: &[(&str, Value)]) -> Chunk {
        let node = |(name, value): &(&str, Value)| ((*name).to_owned(), Node::of(value, &at()));
        Chunk {
            state: "file".into(),
            fun: "managed".into(),
            id: id.into(),
            name: name.into(),
            sls: "a".into(),
            included_from: Vec::new(),
            order: 10000.0,
            arguments: arguments.iter().map(node).collect(),
            at: at(),
            places: Default::default(),
        }
    }

    fn states(chunks: &[Chunk]) -> States<'_> {
        let state = |chunk| State { chunk, contents: Some(Vec::new()) };
        States { states: chunks.iter().map(state).collect(), is_ordered: true }
    }

    /// `kind id`, and each change with its diff.
    fn told(before: &[Chunk], after: &[Chunk]) -> Vec<String> {
        let mut told = Vec::new();
        for differing in difference(&states(before), &states(after), &Secrets::default()) {
            told.push(format!("{} {}", differing.kind.name(), differing.id));
            told.extend(differing.changes.iter().map(|change| match &change.diff {
                Some(diff) => format!("{}: {diff}", change.subject),
                None => change.to_string(),
            }));
        }
        told
    }

    #[test]
    fn a_state_is_known_by_id_and_name_then_by_what_is_left() {
        let of = |pairs: &[(&str, &str)]| -> Vec<Chunk> {
            pairs.iter().map(|(id, name)| chunk(id, name, &[])).collect()
        };
        type Named = &'static [(&'static str, &'static str)];
        let rows: [(Named, Named, &[&str]); 4] = [
            (&[("a", "/a")], &[("a", "/b")], &["changed a", "name: /a -> /b"]),
            (&[("a", "/a")], &[("b", "/a")], &["changed b", "id: a -> b"]),
            // One name of `names` is exchanged.
            (&[("a", "1"), ("a", "2")], &[("a", "2"), ("a", "3")], &["changed a", "name: 1 -> 3"]),
            // Which of them is which, nobody can say.
            (
                &[("a", "1"), ("a", "2")],
                &[("a", "3"), ("a", "4")],
                &["added a", "added a", "removed a", "removed a"],
            ),
        ];
        for (before, after, expected) in rows {
            let told = told(&of(before), &of(after));
            assert_eq!(told, expected, "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn arguments_are_told_key_by_key_and_item_by_item() {
        let map = |pairs: &[(&str, i64)]| Value::Map(pairs.iter().map(|(k, v)| (*k, *v)).collect());
        let list = |items: &[&str]| Value::List(items.iter().map(|item| Value::from(*item)).collect());
        let rows: [(Option<Value>, Option<Value>, &[&str]); 10] = [
            (Some(1.into()), Some(2.into()), &["x: 1 -> 2"]),
            (None, Some(true.into()), &["x: True"]),
            (Some("a".into()), None, &["x: a -> absent"]),
            (Some(map(&[("a", 1), ("b", 2)])), Some(map(&[("b", 2), ("a", 1)])), &[]),
            (
                Some(map(&[("a", 1), ("b", 2)])),
                Some(map(&[("a", 3), ("c", 4)])),
                &["x:a: 1 -> 3", "x:c: 4", "x:b: 2 -> absent"],
            ),
            (Some(list(&["a", "b"])), Some(list(&["b", "c"])), &["x: -a\n+c\n"]),
            (Some(list(&["a", "b"])), Some(list(&["b", "a"])), &["x: [a, b] -> [b, a]"]),
            (None, Some(list(&["a"])), &["x: +a\n"]),
            (Some("a\nb\nc\n".into()), Some("a\nB\nc\n".into()), &["x: @@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"]),
            (Some(list(&["a"])), Some("a".into()), &["x: [a] -> a"]),
        ];
        for (before, after, expected) in rows {
            let with = |value: Option<Value>| {
                [chunk("a", "a", &value.map(|value| ("x", value)).into_iter().collect::<Vec<_>>())]
            };
            let told = told(&with(before.clone()), &with(after.clone()));
            assert_eq!(told.get(1..).unwrap_or_default(), expected, "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn what_stands_elsewhere_and_the_content_itself_are_not_told_twice() {
        let before = [chunk("a", "a", &[("order", 1.into())])];
        let after = [chunk("a", "a", &[("order", 2.into()), ("require_in", Value::List(vec!["b".into()]))])];
        assert_eq!(told(&before, &after), [""; 0]);
        let with = |text: &str| {
            let content = vec![Content::new("content", "/a", format!("{text}\n"))];
            (chunk("a", "a", &[("contents", text.into())]), content)
        };
        let ((old, old_content), (new, new_content)) = (with("one"), with("two"));
        let changes = changes(
            Some(&State { chunk: &old, contents: Some(old_content) }),
            Some(&State { chunk: &new, contents: Some(new_content) }),
        );
        assert_eq!(changes.iter().map(|change| change.subject.as_str()).collect::<Vec<_>>(), ["content"]);
    }

    #[test]
    fn as_few_states_as_can_be_have_moved() {
        let moved = |before: &str, after: &str| {
            let chunks = |ids: &str| -> Vec<Chunk> {
                ids.chars().map(|id| chunk(&id.to_string(), &id.to_string(), &[])).collect()
            };
            told(&chunks(before), &chunks(after)).join("; ")
        };
        assert_eq!(moved("abcd", "abcd"), "");
        assert_eq!(moved("abcd", "bcda"), "changed a; order: first -> after file: d");
        assert_eq!(moved("abcdef", "efabcd"), "changed e; order: after file: d -> first");
        assert_eq!(moved("abcdxy", "axybcd"), "changed x; order: after file: d -> after file: a");
        assert_eq!(longest_rise(&[3, 0, 1, 4, 2]).len(), 3);
        assert_eq!(longest_rise(&[]).len(), 0);
    }

    #[test]
    fn without_an_order_nothing_moves_and_unknown_contents_are_left_aside() {
        let [old, new] = [["a", "b"], ["b", "a"]].map(|ids| ids.map(|id| chunk(id, id, &[])));
        let content = vec![Content::new("content", "/a", "x")];
        let before = old.iter().map(|chunk| State { chunk, contents: None }).collect();
        let after = new.iter().map(|chunk| State { chunk, contents: Some(content.clone()) }).collect();
        let (before, after) =
            (States { states: before, is_ordered: true }, States { states: after, is_ordered: false });
        assert_eq!(difference(&before, &after, &Secrets::default()), []);
    }

    #[test]
    fn secrets_of_either_revision_are_masked() {
        let text = |text: &str| Node { data: Data::Scalar(text.into()), at: at() };
        let mut before = chunk("a", "a", &[]);
        before.arguments.push(("x".into(), text("of-yesterday")));
        let mut after = chunk("a", "a", &[]);
        after.arguments.push(("x".into(), text("of-today")));
        let secrets = Secrets::new(["of-yesterday".to_owned(), "of-today".to_owned()]);
        let found = difference(&states(&[before]), &states(&[after]), &secrets);
        assert_eq!(found[0].changes[0].to_string(), "x: ******** -> ********");
    }
}
