//! `strftime`: dates written in a few usual ways, or seconds since 1970, printed as asked. Times are UTC.

use minijinja::Error;
use minijinja::value::Value;

use super::args::Args;
use super::fault::type_error;
use super::value::{Kind, Number, kind, number, to_str};

struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) fn filter(value: &Value, args: &Args) -> Result<Value, Error> {
    let format = args.text_or(0, "format", "%Y-%m-%d")?;
    let moment = match (kind(value), number(value)) {
        (Kind::None, _) => {
            return Err(type_error(
                "the time of rendering is something else each time; ask the host: `salt['cmd.run']('date +%F')`",
            ));
        }
        (_, Some(Number::Int(n))) => at(i64::try_from(&n).unwrap_or_default()),
        (_, Some(Number::Float(n))) => at(n.floor() as i64),
        _ => read(&to_str(value))
            .ok_or_else(|| type_error(format!("`{}` is not a date that can be read", to_str(value))))?,
    };
    Ok(Value::from(print(&moment, format)))
}

/// Days since 1970-01-01 (Howard Hinnant's algorithm).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn at(seconds: i64) -> Moment {
    let seconds = seconds.clamp(-60_000_000_000, 250_000_000_000);
    let (count, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = count + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted - era * 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Moment {
        year,
        month,
        day: of_year - (153 * part + 2) / 5 + 1,
        hour: time / 3600,
        minute: time / 60 % 60,
        second: time % 60,
    }
}

fn read(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(at(seconds.floor() as i64));
    }
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let parts: Vec<i64> = date.split(['-', '/', '.']).map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let (year, month, day) = match parts[..] {
        [year, month, day] if year > 31 => (year, month, day),
        // As Americans write it, with slashes.
        [month, day, year] if date.contains('/') => (year, month, day),
        [day, month, year] => (year, month, day),
        _ => return None,
    };
    let clock: Vec<i64> = time
        .trim_start_matches(['T', 't', ' '])
        .trim_end_matches('Z')
        .split(':')
        .filter(|p| !p.is_empty())
        .map(|p| p.split('.').next().unwrap_or_default().parse().ok())
        .collect::<Option<_>>()?;
    let get = |i: usize| clock.get(i).copied().unwrap_or_default();
    let moment = Moment { year, month, day, hour: get(0), minute: get(1), second: get(2) };
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&moment.hour)
        && (0..60).contains(&moment.minute)
        && (0..60).contains(&moment.second)
        && (1..10_000).contains(&year);
    valid.then_some(moment)
}

fn print(moment: &Moment, format: &str) -> String {
    let Moment { year, month, day, hour, minute, second } = *moment;
    let since = days(year, month, day);
    let week_day = (since + 4).rem_euclid(7);
    let of_year = since - days(year, 1, 1) + 1;
    let name = |names: &[&'static str], i: i64| {
        names.get(usize::try_from(i).unwrap_or_default()).copied().unwrap_or_default()
    };
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = chars.next().unwrap_or('%');
        let bare = code == '-';
        if bare {
            code = chars.next().unwrap_or('%');
        }
        let two = |n: i64| if bare { n.to_string() } else { format!("{n:02}") };
        out.push_str(&match code {
            'Y' => year.to_string(),
            'y' => two(year.rem_euclid(100)),
            'C' => two(year / 100),
            'm' => two(month),
            'd' => two(day),
            'e' => format!("{day:2}"),
            'H' => two(hour),
            'I' => two(hour12),
            'M' => two(minute),
            'S' => two(second),
            'f' => "000000".to_owned(),
            'j' => {
                if bare {
                    of_year.to_string()
                } else {
                    format!("{of_year:03}")
                }
            }
            'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'A' => name(&DAYS, week_day).to_owned(),
            'a' => name(&DAYS, week_day).chars().take(3).collect(),
            'B' => name(&MONTHS, month - 1).to_owned(),
            'b' | 'h' => name(&MONTHS, month - 1).chars().take(3).collect(),
            'w' => week_day.to_string(),
            'u' => (if week_day == 0 { 7 } else { week_day }).to_string(),
            'U' => two((of_year + 6 - week_day) / 7),
            'W' => two((of_year + 6 - (week_day + 6) % 7) / 7),
            's' => (since * 86_400 + hour * 3600 + minute * 60 + second).to_string(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'R' => format!("{hour:02}:{minute:02}"),
            'D' => format!("{month:02}/{day:02}/{:02}", year.rem_euclid(100)),
            'Z' | 'z' => String::new(),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            other => format!("%{other}"),
        });
    }
    out
}
