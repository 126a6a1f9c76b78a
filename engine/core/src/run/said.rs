//! What the jobs of a host said, for people.

use crate::question::Ended;
use crate::{Operation, Reply, Step};

pub(super) fn failure(step: &Step, reply: &Reply) -> String {
    let what = match &step.operation {
        Operation::Run(run) => format!("`{}` ", run.command),
        _ => String::new(),
    };
    if let Operation::Run(run) = &step.operation
        && run.hide_output
    {
        return format!("{what}ended with status {}", reply.status);
    }
    format!("{what}{}", said(reply))
}

/// How a command ended, with the last it said.
pub(super) fn said(reply: &Reply) -> String {
    let tail = Ended::of(reply).tail(5);
    let status = match reply.status {
        124 => "ran into its timeout".to_owned(),
        signal @ 129..=192 => format!("was ended by signal {}", signal - 128),
        status => format!("ended with status {status}"),
    };
    if tail.is_empty() { status } else { format!("{status}: {tail}") }
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
