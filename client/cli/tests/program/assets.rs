//! `get --get-assets`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use lacewing_client::Version;
use lacewing_server::{Extension, Protocol, Pusher, RequestBody, Server, service_fn};

use super::{
    curl::{get, scratch},
    servers,
};
use crate::support::any_port;

const PAGE: &str = "<!doctype html><link rel=stylesheet href=/a.css><script src=b.js></script>\
    <img src=c.png><img src=c.png><img src=//other.invalid/d.png>";

/// A server with a page, and the paths that were requested. `/pushing` pushes its style sheet.
fn site(version: Version) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&seen);
    let service = service_fn(move |request: Request<RequestBody>| {
        let paths = Arc::clone(&paths);
        async move {
            let path = request.uri().path().to_owned();
            paths.lock().unwrap().push(path.clone());
            if let Some(pusher) = request.extensions().get::<Pusher>()
                && path == "/pushing"
            {
                let pushed = Request::get("/a.css").body(()).unwrap();
                pusher.push(pushed).await.unwrap();
            }
            let (status, kind, body) = match path.as_str() {
                "/" | "/pushing" => (200, "text/html; charset=utf-8", PAGE.to_owned()),
                "/plain" => (200, "text/plain", PAGE.to_owned()),
                "/c.png" => (404, "text/plain", String::new()),
                _ => (200, "text/css", "x".repeat(100)),
            };
            let response = Response::builder().status(status);
            let response = response.header("content-type", kind).body(body);
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let server = Server::builder().bind(any_port()).options(|options| {
        options
            .protocols([Protocol::from_alpn(version.alpn().as_bytes()).unwrap()])
            .pusher(Extension::Insert)
    });
    (servers::serve(server, service).unwrap(), seen)
}

/// The rows of `--stat`: the mark of a push, the status and the path of each.
fn rows(said: &str) -> Vec<(bool, String, String)> {
    let rows = said.lines().skip_while(|line| !line.starts_with("id "));
    let rows = rows.skip(1).filter(|line| line.contains('+'));
    rows.map(|row| {
        let words: Vec<_> = row.split_whitespace().collect();
        let [.., status, _, path] = words.as_slice() else {
            panic!("{row}");
        };
        (row.contains('*'), (*status).to_owned(), (*path).to_owned())
    })
    .collect()
}

#[test]
fn a_page_is_fetched_with_its_assets() {
    for version in Version::ALL {
        let (address, seen) = site(version);
        let url = format!("http://{address}/");
        let args = ["-a", "--stat", "-v", "-p", version.alpn(), &url];
        let (code, out, said) = get(&args);
        assert_eq!((code, out.as_str()), (0, PAGE), "{said}");
        let mut paths = seen.lock().unwrap().clone();
        paths.sort();
        assert_eq!(paths, ["/", "/a.css", "/b.js", "/c.png"], "{version}");
        assert_eq!(said.matches("* connected to").count(), 1, "{said}");
        assert!(
            said.contains("assets of other origins, which are not fetched: 1"),
            "{said}"
        );
        let mut rows = rows(&said);
        rows.sort_by(|a, b| a.2.cmp(&b.2));
        let row = |status: &str, path: &str| (false, status.to_owned(), path.to_owned());
        let expected = [
            row("200", "/"),
            row("200", "/a.css"),
            row("200", "/b.js"),
            row("404", "/c.png"),
        ];
        assert_eq!(rows, expected, "{version}");
    }
}

#[test]
fn what_is_pushed_is_not_requested_and_counts() {
    for version in Version::ALL {
        let (address, seen) = site(version);
        let url = format!("http://{address}/pushing");
        let har = scratch("assets").join("page.har");
        let har = har.to_str().unwrap();
        let args = ["-a", "--push", "--stat", "--har", har];
        let (code, out, said) = get(&[&args[..], &["-p", version.alpn(), &url]].concat());
        assert_eq!((code, out.as_str()), (0, PAGE), "{said}");
        let mut rows = rows(&said);
        rows.sort_by(|a, b| a.2.cmp(&b.2));
        let pushed: Vec<_> = rows
            .iter()
            .map(|(pushed, _, path)| (*pushed, path.as_str()))
            .collect();
        let expected = [
            (true, "/a.css"),
            (false, "/b.js"),
            (false, "/c.png"),
            (false, "/pushing"),
        ];
        assert_eq!(pushed, expected, "{version}: {said}");
        // The server answers its own promise, too.
        let paths = seen.lock().unwrap().clone();
        let sheets = paths.iter().filter(|path| *path == "/a.css").count();
        assert_eq!(sheets, 1, "{version}: {paths:?}");
        let har = std::fs::read_to_string(har).unwrap();
        assert_eq!(har.matches("\"_was_pushed\":1").count(), 1, "{har}");
    }
}

#[test]
fn only_html_has_assets_and_each_failure_is_one() {
    let (address, seen) = site(Version::Http2);
    let (code, out, _) = get(&["-a", &format!("http://{address}/plain")]);
    assert_eq!((code, out.as_str()), (0, PAGE));
    assert_eq!(*seen.lock().unwrap(), ["/plain"]);
    let (code, _, said) = get(&["-a", "-f", "-o", "/dev/null", &format!("http://{address}/")]);
    assert_eq!(code, 22, "{said}");
    assert!(said.contains("/c.png: the server answered 404"), "{said}");
    let (code, _, _) = get(&["-a", "-d", "x", &format!("http://{address}/")]);
    assert_eq!(code, 2);
}

/// The page is read as it is without its coding.
#[test]
fn a_compressed_page_has_assets_too() {
    use std::io::Write as _;
    // gzip of the page, stored: a header, one block, CRC-32, length.
    let mut page = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let length = u16::try_from(PAGE.len()).unwrap();
    page.write_all(&length.to_le_bytes()).unwrap();
    page.write_all(&(!length).to_le_bytes()).unwrap();
    page.write_all(PAGE.as_bytes()).unwrap();
    let mut crc = u32::MAX;
    for byte in PAGE.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    page.write_all(&(!crc).to_le_bytes()).unwrap();
    page.write_all(&u32::from(length).to_le_bytes()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&seen);
    let service = service_fn(move |request: Request<RequestBody>| {
        paths.lock().unwrap().push(request.uri().path().to_owned());
        let page = http_body_util::Full::new(bytes::Bytes::from(page.clone()));
        let response = Response::builder()
            .header("content-type", "text/html")
            .header("content-encoding", "gzip")
            .body(page);
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    });
    let address = servers::serve(Server::builder().bind(any_port()), service).unwrap();
    let (code, out, said) = get(&["-a", "--compressed", &format!("http://{address}/")]);
    assert_eq!((code, out.as_str()), (0, PAGE), "{said}");
    assert_eq!(seen.lock().unwrap().len(), 4);
}
