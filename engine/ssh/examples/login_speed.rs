//! How long a login and one exchange take: `login_speed CONFIG HOST [TIMES]`, one line of milliseconds for each time.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use kstate_core::{Connect as _, Interrupt, Job};
use kstate_ssh::{Login, Ssh, SshSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(config), Some(host)) = (words.next(), words.next()) else {
        return Err("usage: login_speed CONFIG HOST [TIMES]".into());
    };
    let times = words.next().map_or(Ok(1), |times| times.parse())?;
    for _ in 0..times {
        let begun = Instant::now();
        let settings = SshSettings { ssh_config: Some(config.clone().into()), ..SshSettings::default() };
        let logins = BTreeMap::from([("host".to_owned(), Login::new(host.clone()))]);
        let ssh = Ssh::new(logins, settings, Interrupt::default())?;
        let mut transport = ssh.connect("host")?;
        let connected = begun.elapsed();
        transport.exchange(&[Job::new("true")], &mut |_| {})?;
        let exchanged = begun.elapsed();
        let traffic = transport.traffic();
        drop(transport);
        println!(
            "{:.1} login {:.1} exchange {:.1} round trips {}",
            begun.elapsed().as_secs_f64() * 1e3,
            connected.as_secs_f64() * 1e3,
            (exchanged - connected).as_secs_f64() * 1e3,
            traffic.round_trips
        );
    }
    Ok(())
}
