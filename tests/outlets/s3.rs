//! As much of S3 as it takes to put objects: a server that looks at how requests are signed.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use coral_tui::access::Sha256;

/// What is in its bucket, and what it does next.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// How many objects came in the place of one that was there.
    pub(crate) again: usize,
    /// So many requests fail before one succeeds.
    pub(crate) failures: usize,
    /// What was wrong with requests.
    pub(crate) refused: Vec<String>,
}

/// A server with one bucket, `history`.
pub(crate) struct S3 {
    pub(crate) address: SocketAddr,
    pub(crate) bucket: Arc<Mutex<Bucket>>,
}

impl S3 {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let serving = Arc::clone(&bucket);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let bucket = Arc::clone(&serving);
                // A client that goes away is its own business.
                thread::spawn(move || serve(stream.unwrap(), &bucket).unwrap_or_default());
            }
        });
        Self { address, bucket }
    }

    /// What programs that use S3 are told by their environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    }
}

/// One request, and its answer.
fn serve(stream: TcpStream, bucket: &Mutex<Bucket>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let header = |name: &str| {
        let mut lines = head.iter().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let length = header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut bucket = bucket.lock().unwrap();
    let status = match wrong(&head[0], &header, &body) {
        Some(why) => {
            bucket.refused.push(format!("{why}: {head:?}"));
            "403 Forbidden"
        }
        None if bucket.failures > 0 => {
            bucket.failures -= 1;
            "503 Slow Down"
        }
        None => {
            let name = decoded(head[0].split(' ').nth(1).unwrap());
            let before = bucket.objects.insert(name, body);
            bucket.again += usize::from(before.is_some());
            "200 OK"
        }
    };
    let answer = format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: 0\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes())
}

/// Why a request is not served, if it is not.
fn wrong(line: &str, header: &dyn Fn(&str) -> String, body: &[u8]) -> Option<&'static str> {
    let credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    let authorization = header("authorization");
    let is_signed = [
        "/eu-central-1/s3/aws4_request",
        "SignedHeaders=",
        "Signature=",
    ];
    let is_signed = is_signed.iter().all(|part| authorization.contains(part));
    if !line.starts_with("PUT /history/") {
        Some("no object is put")
    } else if !authorization.starts_with(credential) || !is_signed {
        Some("it is not signed")
    } else if header("x-amz-content-sha256") != Sha256::of(body).to_string() {
        Some("its body is another one")
    } else {
        None
    }
}

/// A path without its escapes.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}
