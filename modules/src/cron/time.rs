//! The times of crontab(5): what cron(8) would refuse is refused before.

/// The five fields, with their least and greatest numbers.
pub(super) const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("daymonth", 1, 31), ("month", 1, 12), ("dayweek", 0, 7)];

const SPECIAL: [&str; 8] =
    ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Returns what is wrong with the value of a field of [`FIELDS`].
pub(super) fn check_field(field: usize, value: &str) -> Result<(), String> {
    let (name, low, high) = FIELDS[field];
    if value.split(',').all(|part| is_part(field, part)) {
        return Ok(());
    }
    let also = match name {
        "month" => ", or names such as `jan`",
        "dayweek" => ", or names such as `mon`",
        _ => "",
    };
    Err(format!(
        "`{value}` is no {name} of crontab(5): it takes `*`, numbers from {low} to {high}{also}, ranges `a-b`, steps \
         `*/n` and lists of these with commas"
    ))
}

/// Returns what is wrong with a time such as `@daily`.
pub(super) fn check_special(value: &str) -> Result<(), String> {
    if SPECIAL.contains(&value.to_lowercase().as_str()) {
        return Ok(());
    }
    Err(format!("`{value}` is no time of crontab(5); there are: {}", SPECIAL.join(", ")))
}

/// Returns what is wrong with a line of a crontab.
pub(super) fn check_line(line: &str) -> Result<(), String> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') || is_setting(line) {
        return Ok(());
    }
    let mut words = line.split_ascii_whitespace();
    if line.starts_with('@') {
        check_special(words.next().unwrap_or_default())?;
    } else {
        for field in 0..FIELDS.len() {
            check_field(field, &words.next().unwrap_or_default().to_lowercase())?;
        }
    }
    words.next().map(|_| ()).ok_or_else(|| "there is no command behind the time".to_owned())
}

/// Returns true for `NAME=value`, as cron(8) tells it from a job.
fn is_setting(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim_end();
        let is_quoted = name.len() > 1 && name.starts_with(['"', '\'']) && name.ends_with(['"', '\'']);
        is_quoted
            || (!name.is_empty()
                && !name.contains(|c: char| c.is_ascii_whitespace())
                && !name.starts_with('*'))
    })
}

fn is_part(field: usize, part: &str) -> bool {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let is_step = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0));
    let is_range = match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => matches!((number(field, from), number(field, to)), (Some(a), Some(b)) if a <= b),
        None => number(field, range).is_some(),
    };
    is_step && is_range
}

fn number(field: usize, word: &str) -> Option<u32> {
    let (name, low, high) = FIELDS[field];
    let at = |names: &[&str]| names.iter().position(|name| *name == word).map(|at| at as u32);
    let named = match name {
        "month" => at(&MONTHS).map(|month| month + 1),
        "dayweek" => at(&DAYS),
        _ => None,
    };
    let digits = || word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?;
    named.or_else(digits).filter(|number| (low..=high).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_cron_takes() {
        let rows = [
            (0, "*", true),
            (0, "*/5", true),
            (0, "0,30", true),
            (0, "10-20/2,59", true),
            (0, "60", false),
            (0, "", false),
            (0, "*/0", false),
            (0, "5-1", false),
            (0, "+5", false),
            (0, "a", false),
            (1, "24", false),
            (2, "0", false),
            (3, "jan", true),
            (3, "13", false),
            (3, "mon", false),
            (4, "mon-fri", true),
            (4, "7", true),
            (4, "8", false),
            (1, "1 2", false),
        ];
        for (field, value, expected) in rows {
            assert_eq!(check_field(field, value).is_ok(), expected, "{value:?} of {:?}", FIELDS[field]);
        }
    }

    #[test]
    fn a_line_is_a_comment_a_setting_or_a_job() {
        for line in
            ["", "# x", "PATH=/bin", " A = b c", "\"a b\"=c", "@daily x", "1 2 3 4 5 x=1", "*/5 * * * * a"]
        {
            assert_eq!(check_line(line), Ok(()), "{line}");
        }
        for line in ["x", "@often x", "1 2 3 4 x", "* * * * *", "61 * * * * a", "@daily"] {
            assert!(check_line(line).is_err(), "{line}");
        }
    }
}
