//! What the jobs of a host said, for people.

use crate::transport::Gap;
use crate::{Operation, Printed, Reply, Step};

/// How many lines of each stream a message about a failure shows.
const SHOWN_LINES: usize = 40;

pub(super) fn failure(step: &Step, reply: &Reply) -> String {
    let Operation::Run(run) = &step.operation else { return said(reply) };
    let command = run.command.to_string();
    // The change says which command it is.
    let is_told = step.changes.iter().any(|change| change.after.as_str() == Some(&command));
    let what = if is_told { String::new() } else { format!("`{command}` ") };
    if run.hide_output { format!("{what}{}", ended(reply)) } else { format!("{what}{}", said(reply)) }
}

/// How a command ended, with the last it said.
pub(super) fn said(reply: &Reply) -> String {
    let [stdout, stderr] = streams(reply).map(|text| last_lines(&text));
    match (stdout.is_empty(), stderr.is_empty()) {
        (true, true) => ended(reply),
        (false, true) => format!("{}: {stdout}", ended(reply)),
        (true, false) => format!("{}: {stderr}", ended(reply)),
        (false, false) => format!("{}\nstdout:\n{stdout}\nstderr:\n{stderr}", ended(reply)),
    }
}

fn ended(reply: &Reply) -> String {
    match reply.status {
        124 => "ran into its timeout".to_owned(),
        signal @ 129..=192 => format!("was ended by signal {}", signal - 128),
        status => format!("ended with status {status}"),
    }
}

/// The output of a step's command. `None`: it has none, or it must not be shown.
pub(super) fn printed(step: &Step, reply: &Reply) -> Option<Printed> {
    let Operation::Run(run) = &step.operation else { return None };
    if run.hide_output || (reply.stdout.is_empty() && reply.stderr.is_empty()) {
        return None;
    }
    let [stdout, stderr] = streams(reply);
    let gaps = [reply.omitted.stdout, reply.omitted.stderr];
    let omitted = gaps.iter().flatten().map(|gap| gap.bytes).sum();
    Some(Printed { command: run.command.to_string(), status: reply.status, stdout, stderr, omitted })
}

fn streams(reply: &Reply) -> [String; 2] {
    [text(&reply.stdout, reply.omitted.stdout), text(&reply.stderr, reply.omitted.stderr)]
}

/// A stream as text, with a line in place of what was left out.
fn text(bytes: &[u8], gap: Option<Gap>) -> String {
    let Some(Gap { at, bytes: omitted }) = gap else { return String::from_utf8_lossy(bytes).into_owned() };
    let (head, tail) = bytes.split_at(at.min(bytes.len()));
    let [head, tail] = [head, tail].map(String::from_utf8_lossy);
    format!("{head}\n… {omitted} bytes left out …\n{tail}")
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    match lines.len().saturating_sub(SHOWN_LINES) {
        0 => lines.join("\n"),
        more => format!("\n… {more} lines left out …\n{}", lines[more..].join("\n")),
    }
}

/// Bytes as they come, line by line.
#[derive(Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

/// What is kept of a line.
const LONGEST_LINE: usize = 4096;

/// How many lines of one piece are shown: nobody reads faster.
const MOST_LINES: usize = 100;

impl Lines {
    /// Takes a piece of output and shows its lines, the last ones where there are many.
    pub(super) fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let Some(last) = bytes.iter().rposition(is_end) else { return self.keep(bytes) };
        let whole: Vec<&[u8]> = bytes[..last].split(is_end).collect();
        let skipped = whole.len().saturating_sub(MOST_LINES);
        for (index, part) in whole.into_iter().enumerate() {
            if index == 0 {
                self.keep(part);
            } else {
                self.rest = part[..part.len().min(LONGEST_LINE)].to_vec();
            }
            let text = String::from_utf8_lossy(&self.rest).trim_end().to_owned();
            if index >= skipped && !text.is_empty() {
                line(&text);
            }
        }
        self.rest.clear();
        self.keep(&bytes[last + 1..]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        pieces.iter().for_each(|piece| lines.take(piece, |line| seen.push(line.to_owned())));
        seen
    }

    #[test]
    fn a_failure_shows_the_last_lines_of_both_streams() {
        let many: String = (1..=45).map(|n| format!("line {n}\n")).collect();
        for (stdout, stderr, expected) in [
            ("", "", "ended with status 3".to_owned()),
            ("", "no\n", "ended with status 3: no".to_owned()),
            ("out\n", "no\n", "ended with status 3\nstdout:\nout\nstderr:\nno".to_owned()),
            (&many, "", format!("ended with status 3: \n… 5 lines left out …\n{}", &many.trim()[35..])),
        ] {
            assert_eq!(said(&Reply::new(3, stdout, stderr)), expected);
        }
    }

    #[test]
    fn what_was_left_out_of_a_stream_is_told_at_its_place() {
        let gap = Some(Gap { at: 2, bytes: 7 });
        assert_eq!(text(b"abyz", gap), "ab\n… 7 bytes left out …\nyz");
        assert_eq!(text(b"abyz", None), "abyz");
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(lines(&[b"on", b"e\ntwo\r\nth", b"", b"ree\n\nfour"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"10%\r20%\r", b"\xff\n"]), ["10%", "20%", "\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_costs_linear_time() {
        let piece = vec![b'x'; 32_768];
        let mut pieces: Vec<&[u8]> = vec![&piece; 500];
        pieces.push(b"\nnext\n");
        let seen = lines(&pieces);
        assert_eq!((seen[0].len(), seen[1].as_str()), (LONGEST_LINE, "next"));
    }

    #[test]
    fn of_many_lines_at_once_the_last_are_shown() {
        let seen = lines(&[b"y\n".repeat(16_000).as_slice(), b"end\n"]);
        assert_eq!((seen.len(), seen.last().map(String::as_str)), (MOST_LINES + 1, Some("end")));
    }
}
