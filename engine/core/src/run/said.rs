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
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let rest = self.rest.split_off(end + 1);
            let text = String::from_utf8_lossy(&self.rest[..end]).trim_end().to_owned();
            self.rest = rest;
            if !text.is_empty() {
                line(&text);
            }
        }
    }
}
