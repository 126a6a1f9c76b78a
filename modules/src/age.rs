//! Whether processes are older than the code that they run.

use std::collections::HashMap;

use kstate_core::words::{join, quote};
use kstate_core::{Command, Facts, Problem, Question, Stop, Touch};

use crate::Context;
use crate::git::checked_out;
use crate::kinds::Texts;
use crate::service::WORKERS;

/// What some processes run: checkouts, files and folders.
#[derive(Debug)]
pub(crate) struct Code {
    paths: Vec<String>,
    /// A service whose workers run it.
    service: Option<String>,
}

/// When it came, and when each process began, by the host's clock.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    /// Seconds since 1970, the same for people, and what came then.
    came: f64,
    told: String,
    path: String,
    began: HashMap<u32, f64>,
    pub(crate) workers: Vec<u32>,
}

/// Prints the latest part of the code `$@` and when it came, the clock, when each process began in ticks of the kernel, and
/// the workers of the service `$s`. A checkout came when its HEAD moved last. The clock is read beside the beginning
/// of a process, because within a container neither /proc/uptime nor the time of boot need be those of the kernel.
const LOOK: &str = r#"parts() {
for c; do
  c=${c%/}
  [ -e "$c" ] || continue
  [ ! -L "$c" ] || stat -c '%.Y %n' -- "$c"
  if [ -f "$c/.git/logs/HEAD" ]; then echo "$(stat -c %.Y -- "$c/.git/logs/HEAD") $c"
  else find -H "$c" \( -name __pycache__ -o -name .git \) -prune -o -type f ! -name '*.pyc' -printf '%T@ %p\n'; fi
done; }
for c; do [ -e "$c" ] || echo "missing $c"; done
last=$(parts "$@" | sort -n | tail -n 1)
[ -z "$last" ] || echo "came $(date -d "@${last%% *}" '+%s.%N %F %T') ${last#* }"
now=$(date +%s.%N)
echo "clock $now $(sed 's/^.*) //' /proc/self/stat | cut -d ' ' -f 20)"
cat /proc/[0-9]*/stat 2>/dev/null | awk '{ pid = $1; sub(/^.*\) /, ""); print "process", pid, $20 }'
[ -z "$s" ] || workers | sed 's/^/worker /'
"#;

/// How much too late a process may seem to have begun: the kernel counts hundredths of a second.
const BLUR: f64 = 0.02;

impl Code {
    /// `argument` is the name of the one that holds the paths.
    pub(crate) fn new(
        cx: &Context<'_>,
        argument: &str,
        Texts(paths): Texts,
        service: Option<&str>,
    ) -> Result<Self, Problem> {
        match paths.iter().find(|path| !path.starts_with('/')) {
            Some(path) => Err(cx.error(argument, format!("`{path}` is not an absolute path"))),
            None if paths.is_empty() => Err(cx.error(argument, "it names no path")),
            None => Ok(Code { paths, service: service.map(str::to_owned) }),
        }
    }

    fn look(&self) -> Command {
        let service = self.service.as_deref().unwrap_or_default();
        let script = format!("{WORKERS}s={}\nset -- {}\n{LOOK}", quote(service), join(&self.paths));
        let mut depends = vec![Touch::Processes];
        for path in &self.paths {
            depends.extend([Touch::Path(path.clone()), checked_out(path)]);
        }
        depends.extend(self.service.clone().map(Touch::Service));
        Command::shell(script).depends(depends).told("look how old the processes and their code are")
    }

    pub(crate) fn question(&self) -> Question {
        Question::Run(Box::new(self.look()))
    }

    pub(crate) fn ages(&self, facts: &Facts) -> Result<Ages, Stop> {
        let said = &facts.run(&self.look())?.stdout;
        if let Some(path) = said.lines().find_map(|line| line.strip_prefix("missing ")) {
            return Err(Stop::Failed(format!("there is no `{path}`, the age of which is asked")));
        }
        Ages::read(said).ok_or_else(|| Stop::Failed("the host cannot tell how old its processes are".into()))
    }
}

impl Ages {
    fn read(text: &str) -> Option<Self> {
        let mut ages = Ages::default();
        let (mut now, mut tick) = (0.0, 0.0);
        for line in text.lines() {
            match line.splitn(5, ' ').collect::<Vec<_>>()[..] {
                ["came", came, day, time, path] => {
                    ages.came = came.parse().ok()?;
                    ages.told = format!("{day} {time}");
                    ages.path = path.to_owned();
                }
                ["clock", seconds, ticks] => (now, tick) = (seconds.parse().ok()?, ticks.parse().ok()?),
                ["process", pid, ticks] => {
                    let ticks: f64 = ticks.parse().ok()?;
                    ages.began.insert(pid.parse().ok()?, now - (tick - ticks) / 100.0);
                }
                ["worker", pid, _] => ages.workers.push(pid.parse().ok()?),
                _ => {}
            }
        }
        (now > 0.0).then_some(ages)
    }

    /// Whether a process began before the code came. One that has ended in the meantime is not older.
    pub(crate) fn is_older(&self, pid: u32) -> bool {
        self.began.get(&pid).is_some_and(|began| began + BLUR < self.came)
    }

    /// The code, for a person.
    pub(crate) fn code(&self) -> String {
        format!("the code of {} (`{}`)", self.told, self.path)
    }

    /// What there is to say of `processes` when none is older.
    pub(crate) fn remark(&self, processes: usize) -> String {
        match processes {
            0 => format!("no process runs {}", self.code()),
            1 => format!("its process is not older than {}", self.code()),
            n => format!("none of its {n} processes is older than {}", self.code()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kstate_core::question::{Answer, Ended};

    use super::*;

    /// The answer of a host on which the code came at second 1000, and processes 7, 8 and 9 began at 999.9, 1000.1 and 990.
    pub(crate) fn learn(facts: &mut Facts, question: Question, more: &str) {
        let stdout = format!(
            "came 1000.000000000 2026-11-26 10:00:00 /srv/app\nclock 1100.000000000 50000\n\
             process 7 39990\nprocess 8 40010\nprocess 9 39000\n{more}"
        );
        let ended = Ended { stdout, ..Ended::default() };
        facts.learn(question, Ok(Answer::Run(ended)));
    }

    #[test]
    fn a_process_is_older_if_it_began_before_the_code_came() {
        let code = Code { paths: vec!["/srv/app".into()], service: None };
        let mut facts = Facts::default();
        learn(&mut facts, code.question(), "worker 9 39000\n");
        let ages = code.ages(&facts).unwrap();
        assert_eq!([7, 8, 9, 10].map(|pid| ages.is_older(pid)), [true, false, true, false]);
        assert_eq!(ages.workers, [9]);
        assert_eq!(ages.code(), "the code of 2026-11-26 10:00:00 (`/srv/app`)");
    }

    #[test]
    fn a_missing_path_is_told() {
        let code = Code { paths: vec!["/srv/none".into()], service: None };
        let mut facts = Facts::default();
        learn(&mut facts, code.question(), "missing /srv/none\n");
        let told = code.ages(&facts).unwrap_err().to_string();
        assert!(told.contains("there is no `/srv/none`"), "{told}");
    }
}
