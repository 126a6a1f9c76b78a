//! A client of Kingfisher Process that posts items as a crawler does: steadily, each of them once, whatever comes back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const SITE: &str = "process.kingfisher.open-contracting.org";
const KEY: &str = "example-only-api-key";

const CLIENTS: usize = 4;

/// What each client waits between two posts: it makes twenty a second at most.
const PAUSE: Duration = Duration::from_millis(50);

/// How long it is posted before and after the work.
const MARGIN: Duration = Duration::from_secs(2);

pub(crate) struct Post {
    pub(crate) number: u32,
    /// It was begun while the work was done.
    pub(crate) is_during: bool,
    /// `Err`: what came back instead of an acknowledgement.
    pub(crate) answer: Result<(), String>,
}

/// Posts items before, during and after some work, numbered from `first` on.
pub(crate) fn crawl<T>(address: &str, first: u32, work: impl FnOnce() -> T) -> (Vec<Post>, T) {
    let next = AtomicU32::new(first);
    let (is_during, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let client = || {
        let mut posts = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let is_during = is_during.load(Ordering::Relaxed);
            posts.push(Post { number, is_during, answer: post(address, number) });
            thread::sleep(PAUSE);
        }
        posts
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        thread::sleep(MARGIN);
        is_during.store(true, Ordering::Relaxed);
        let done = work();
        is_during.store(false, Ordering::Relaxed);
        thread::sleep(MARGIN);
        is_over.store(true, Ordering::Relaxed);
        (clients.into_iter().flat_map(|client| client.join().unwrap()).collect(), done)
    })
}

fn post(address: &str, number: u32) -> Result<(), String> {
    let answer = ask(address, &item(number)).map_err(|error| error.to_string())?;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(answer.lines().next().unwrap_or("nothing").to_owned()),
    }
}

fn ask(address: &str, form: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address, 80))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = form.len();
    let request = format!(
        "POST /api/v1/submit/item/ HTTP/1.1\r\nHost: {SITE}\r\nAuthorization: ApiKey {KEY}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An item as a form.
fn item(number: u32) -> String {
    let data = format!(
        r#"{{"ocid": "ocds-213czf-{number}", "id": "{number}", "date": "2019-12-19T10:00:00Z", "tag": ["tender"]}}"#
    );
    format!(
        "collection_source=load&collection_data_version=2019-12-19+10%3A00%3A00&file_name=a.json&data_type=release\
         &number={number}&data={}",
        encoded(&data)
    )
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
