//! The search for secrets in a text: in all its readings at once, for all forms of all secrets at once.

use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::forms::{Form, Kind, Piece};
use super::views::{View, views};

/// How many bytes of a long form are looked for. What is around them is compared.
const STEM: usize = 8;

/// Stems begin so far from each other in forms that are too long to have one at each byte.
const STRIDE: usize = 32;

/// Forms of at most so many bytes have a stem at each.
const DENSE: usize = 256;

/// Texts are searched in windows, so that memory does not grow with them; they overlap by what a wrapped secret may take.
const WINDOW: usize = 32 << 10;
const OVERLAP: usize = 8 << 10;

/// A place of a text that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    pub(super) is_letters: bool,
}

#[derive(Debug)]
pub(super) struct Search {
    forms: Vec<Form>,
    /// Of each stem its form, and where in it the stem begins.
    stems: Vec<(usize, usize)>,
    long: Option<AhoCorasick>,
    /// The places of the forms that are looked for as they are.
    exact: Vec<usize>,
    short: Option<AhoCorasick>,
}

impl Search {
    pub(super) fn new(forms: Vec<Form>) -> Self {
        let places = |is: fn(&Form) -> bool| (0..forms.len()).filter(|form| is(&forms[*form])).collect();
        let long: Vec<usize> = places(|form| form.kind == Kind::Long);
        let exact: Vec<usize> = places(|form| form.kind != Kind::Long);
        let stems: Vec<(usize, usize)> = long
            .into_iter()
            .flat_map(|form| stems(&forms[form]).into_iter().map(move |at| (form, at)))
            .collect();
        let stem = |(form, at): &(usize, usize)| &forms[*form].bytes[*at..*at + stem_length(&forms[*form])];
        // Cannot fail but for more bytes than a process has.
        let built = |patterns: Vec<&[u8]>| AhoCorasick::new(patterns).ok();
        let (of_stems, of_exact) = (
            built(stems.iter().map(stem).collect()),
            built(exact.iter().map(|form| &*forms[*form].bytes).collect()),
        );
        Search { forms, stems, long: of_stems, exact, short: of_exact }
    }

    /// The places that hold secrets.
    pub(super) fn find(&self, text: &str, is_diff: bool) -> Vec<Found> {
        let mut found = Vec::new();
        let mut start = 0;
        loop {
            let end = boundary(text, start + WINDOW + OVERLAP);
            for view in views(&text[start..end], is_diff) {
                self.find_long(text, start, &view.folded(false), &mut found);
                if !self.exact.is_empty() {
                    self.find_short(text, start, &view.folded(true), &mut found);
                }
            }
            if end == text.len() {
                return found;
            }
            start = boundary(text, start + WINDOW);
        }
    }

    fn find_long(&self, text: &str, start: usize, view: &View, found: &mut Vec<Found>) {
        let Some(long) = &self.long else { return };
        // How far the last piece of each form reaches: its other stems find nothing new.
        let mut reached = vec![0; self.forms.len()];
        for hit in long.find_overlapping_iter(&view.bytes) {
            let (form, at) = self.stems[hit.pattern().as_usize()];
            if hit.end() <= reached[form] {
                continue;
            }
            let form_bytes = &self.forms[form].bytes;
            let before = common(view.bytes[..hit.start()].iter().rev(), form_bytes[..at].iter().rev());
            let stem = hit.end() - hit.start();
            let after = common(view.bytes[hit.end()..].iter(), form_bytes[at + stem..].iter());
            let of_view = hit.start() - before..hit.end() + after;
            let of_form = at - before..at + stem + after;
            if tells(&self.forms[form], of_form) {
                reached[form] = of_view.end;
                found.push(self.found(text, start, form, view, of_view));
            }
        }
    }

    fn find_short(&self, text: &str, start: usize, view: &View, found: &mut Vec<Found>) {
        let Some(short) = &self.short else { return };
        for hit in short.find_overlapping_iter(&view.bytes) {
            let form = self.exact[hit.pattern().as_usize()];
            let beside = [hit.start().checked_sub(1), Some(hit.end())];
            let is_digit = |place: &usize| view.bytes.get(*place).is_some_and(u8::is_ascii_digit);
            if self.forms[form].kind == Kind::Number && beside.iter().flatten().any(is_digit) {
                continue;
            }
            found.push(self.found(text, start, form, view, hit.start()..hit.end()));
        }
    }

    fn found(&self, text: &str, start: usize, form: usize, view: &View, range: Range<usize>) -> Found {
        let range = view.source(range);
        let Form { kind, is_letters, .. } = self.forms[form];
        // An escape may stand for a part of a character.
        let from = (0..=start + range.start).rfind(|place| text.is_char_boundary(*place)).unwrap_or_default();
        Found { range: from..boundary(text, start + range.end), kind, is_letters }
    }
}

fn stem_length(form: &Form) -> usize {
    match form.piece {
        Piece::None => form.bytes.len(),
        Piece::Edge(least) | Piece::Any(least) => least.min(STEM),
    }
}

/// Where the stems of a form begin.
fn stems(form: &Form) -> Vec<usize> {
    let length = form.bytes.len();
    let last = length - stem_length(form);
    match form.piece {
        Piece::None => vec![0],
        Piece::Edge(_) => vec![0, last],
        Piece::Any(_) if length <= DENSE => (0..=last).collect(),
        Piece::Any(_) => (0..last).step_by(STRIDE).chain([last]).collect(),
    }
}

/// Whether a piece of a form gives the secret away.
fn tells(form: &Form, piece: Range<usize>) -> bool {
    let length = form.bytes.len();
    let is_edge = piece.start == 0 || piece.end == length;
    if piece.len() == length {
        return true;
    }
    match form.piece {
        Piece::None => false,
        Piece::Edge(least) => is_edge && piece.len() >= least,
        Piece::Any(least) => {
            let bytes = &form.bytes[piece.clone()];
            let is_mixed = bytes.iter().any(u8::is_ascii_digit) && bytes.iter().any(u8::is_ascii_alphabetic);
            piece.len() >= least && (is_edge || is_mixed || piece.len() >= 2 * STEM)
        }
    }
}

fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

/// The next place at which a text can be cut.
fn boundary(text: &str, place: usize) -> usize {
    (place..text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len())
}
