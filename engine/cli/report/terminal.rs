//! What a person sees: hosts, changed things first, unchanged ones only counted, but for what is worth a remark after a change.

use anstyle::Style;
use kstate_core::{Change, HostReport, Outcome, Prediction, Printed, StateReport};

use super::Kind;
use crate::ui::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, count, elapsed, paint};
use crate::visible::plain;

/// The report of one host.
pub(crate) fn host(kind: Kind, report: &HostReport, verbose: bool) -> String {
    let mut out = format!("{}\n", paint(BOLD, &report.target));
    if !report.reachable {
        out.push_str(&format!(
            "  {} {}\n",
            paint(RED, "not reached:"),
            report.error.as_deref().unwrap_or("")
        ));
        out.push_str(&hints(report));
        return out;
    }
    let has_changed = report.count(Outcome::Changed) > 0;
    let mut states: Vec<&StateReport> = report
        .states
        .iter()
        .filter(|state| verbose || is_worth_showing(state) || (has_changed && state.remark.is_some()))
        .collect();
    states.sort_by_key(|state| rank(state.outcome));
    for state in states {
        out.push_str(&self::state(state, verbose));
    }
    for note in &report.notes {
        out.push_str(&format!("  {}: {note}\n", paint(CYAN, "note")));
    }
    if let Some(error) = &report.error {
        out.push_str(&format!("  {} {error}\n", paint(RED, "ended early:")));
        out.push_str(&hints(report));
    }
    out.push_str(&format!("  {}\n", counts(kind, report)));
    out.push_str(&report.prediction.as_ref().map(prediction).unwrap_or_default());
    out
}

fn prediction(prediction: &Prediction) -> String {
    let Prediction { predicted, happened, missed, unforeseen, unknown, unknown_happened } = prediction;
    let mut out = format!("  predicted {}, happened {happened}", count(*predicted, "change"));
    if *unknown > 0 {
        out.push_str(&format!("; of {unknown} that could not be told, {unknown_happened} changed"));
    }
    out.push('\n');
    for (what, ids) in
        [("predicted, and did not happen", missed), ("happened, and was not predicted", unforeseen)]
    {
        out.extend(ids.iter().map(|id| format!("    {what}: {}\n", short(id))));
    }
    out
}

fn hints(report: &HostReport) -> String {
    report.hints.iter().map(|hint| format!("  {}: {hint}\n", paint(CYAN, "hint"))).collect()
}

/// All hosts in a line.
pub(crate) fn summary(kind: Kind, reports: &[HostReport], took: std::time::Duration) -> String {
    let sum = |outcome| reports.iter().map(|report| report.count(outcome)).sum::<usize>();
    let unreached = reports.iter().filter(|report| !report.reachable).count();
    let mut parts: Vec<String> = kind
        .outcomes()
        .iter()
        .map(|outcome| (sum(*outcome), *outcome))
        .filter(|(n, _)| *n > 0)
        .map(|(n, outcome)| words(n, outcome))
        .collect();
    if unreached > 0 {
        parts.push(paint(RED, format!("{} not reached", count(unreached, "host"))));
    }
    let hosts = count(reports.len(), "host");
    format!("{hosts} in {}: {}\n", elapsed(took), parts.join(", "))
}

fn is_worth_showing(state: &StateReport) -> bool {
    state.asked && !matches!(state.outcome, Outcome::InSync | Outcome::Unchanged)
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed => 0,
        Outcome::Drift | Outcome::Changed => 1,
        Outcome::Always => 2,
        Outcome::Unknown | Outcome::Skipped => 3,
        Outcome::InSync | Outcome::Unchanged => 4,
    }
}

fn mark(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Failed => ("!", RED),
        Outcome::Drift | Outcome::Changed => ("~", YELLOW),
        Outcome::Always => ("*", CYAN),
        Outcome::Unknown => ("?", CYAN),
        Outcome::Skipped => ("-", DIM),
        Outcome::InSync | Outcome::Unchanged => ("=", GREEN),
    }
}

fn state(state: &StateReport, verbose: bool) -> String {
    let (sign, style) = mark(state.outcome);
    let name =
        if state.id == state.name { String::new() } else { format!("  {}", paint(DIM, short(&state.name))) };
    let place = paint(DIM, format!("{}:{}", state.file, state.line));
    let mut out = format!(
        "  {} {} {}{name}  {place}\n",
        paint(style, sign),
        state.function,
        paint(style, short(&state.id))
    );
    if let Some(reason) = &state.reason {
        let what = match state.outcome {
            Outcome::Failed => "failed: ",
            Outcome::Unknown => "cannot be told: ",
            _ => "",
        };
        // With `-v` the whole output follows.
        let is_first = verbose && !state.printed.is_empty();
        let reason = if is_first { reason.lines().next().unwrap_or_default() } else { reason };
        out.push_str(&indent(&format!("{what}{reason}"), 6));
    }
    out.push_str(&indent(state.remark.as_deref().unwrap_or_default(), 6));
    for change in state.changes.iter().filter(|change| !is_in_the_head(state, change)) {
        out.push_str(&self::change(change));
    }
    if verbose {
        out.extend(state.printed.iter().map(printed));
    }
    out
}

/// Returns true for the command of a state that failed, if the state is named by it.
fn is_in_the_head(state: &StateReport, change: &Change) -> bool {
    let line = change.after.as_str().unwrap_or_default();
    state.outcome == Outcome::Failed && change.subject == "run" && line == state.name && short(line) == line
}

/// The whole output of a command.
fn printed(printed: &Printed) -> String {
    let mut out = String::new();
    for (name, text) in [("stdout", &printed.stdout), ("stderr", &printed.stderr)] {
        if !text.is_empty() {
            out.push_str(&format!("      {}\n{}", paint(DIM, format!("{name}:")), indent(text, 8)));
        }
    }
    out
}

pub(super) fn change(change: &Change) -> String {
    let Some(diff) = &change.diff else { return indent(&change.to_string(), 6) };
    let mut out = indent(&change.subject, 6);
    for line in diff.strip_suffix('\n').unwrap_or(diff).split('\n') {
        let style = match line.as_bytes().first() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => BOLD,
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            _ => Style::new(),
        };
        out.push_str(&format!("        {}\n", paint(style, blanks(line, diff))));
    }
    out
}

/// A line of a diff whose blanks can be seen, where nothing else tells it from a line of the other side.
fn blanks(line: &str, diff: &str) -> String {
    let other = match line.as_bytes().first() {
        Some(b'+') => '-',
        Some(b'-') => '+',
        _ => return line.to_owned(),
    };
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let own = words(&line[1..]);
    if !diff.split('\n').any(|line| line.strip_prefix(other).is_some_and(|line| words(line) == own)) {
        return line.to_owned();
    }
    let end = line.trim_end_matches([' ', '\t', '\r']).len().max(1);
    let tail: String = line[end..].replace(' ', "·");
    format!("{}{tail}", &line[..end]).replace('\t', "→\t")
}

fn indent(text: &str, by: usize) -> String {
    plain(text.strip_suffix('\n').unwrap_or(text))
        .split('\n')
        .filter(|_| !text.is_empty())
        .map(|line| format!("{:by$}{line}\n", ""))
        .collect()
}

/// A long command line on one line.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 100 {
        line
    } else {
        format!("{}…", line.chars().take(99).collect::<String>())
    }
}

fn counts(kind: Kind, report: &HostReport) -> String {
    let parts: Vec<String> = kind
        .outcomes()
        .iter()
        .map(|outcome| (report.count(*outcome), *outcome))
        .filter(|(n, _)| *n > 0)
        .map(|(n, outcome)| words(n, outcome))
        .collect();
    let parts = if parts.is_empty() { "no states".to_owned() } else { parts.join(", ") };
    let traffic = report.traffic;
    let cost = format!(
        "({}, {}, {})",
        count(traffic.logins as usize, "login"),
        count(traffic.round_trips as usize, "round trip"),
        elapsed(report.duration)
    );
    format!("{parts}  {}", paint(DIM, cost))
}

fn words(n: usize, outcome: Outcome) -> String {
    let text = match outcome {
        Outcome::InSync => format!("{n} as declared"),
        Outcome::Drift => format!("{n} {}", if n == 1 { "differs" } else { "differ" }),
        Outcome::Always => format!("{n} would run as always"),
        Outcome::Unknown => format!("{n} cannot be told yet"),
        Outcome::Unchanged => format!("{n} unchanged"),
        Outcome::Changed => format!("{n} changed"),
        Outcome::Failed => format!("{n} failed"),
        Outcome::Skipped => format!("{n} skipped"),
    };
    match outcome {
        Outcome::Failed => paint(RED, text),
        Outcome::Drift | Outcome::Changed => paint(YELLOW, text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_shown_where_they_are_the_difference() {
        let diff = "-a b \n+a\tb\r\n-c \n+d \n";
        for (line, shown) in
            [("-a b ", "-a b·"), ("+a\tb\r", "+a→\tb\r"), ("-c ", "-c "), ("+d ", "+d "), (" e ", " e ")]
        {
            assert_eq!(blanks(line, diff), shown);
        }
    }
}
