//! The ends of tunnels: restarts, kills, halves, drains.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use lacewing_client::{Body, Incoming, Version};
use lacewing_server::{Protocol, RequestBody};
use tokio::sync::mpsc;

use super::{
    PROTOCOLS, TOKEN, becomes, dialler, fresh_tokens, gateway, gateway_at, get,
    handshake::{ask, bearer},
};
use crate::{
    peers::{FRONTS, Pieces, client, patiently, upstream},
    program::{Directory, Running},
};

fn files() -> Directory {
    Directory::new(&format!(
        "lacewingd-reverse-ends-{:?}",
        std::thread::current().id()
    ))
}

/// A gateway that is killed and returns at the same address is dialled again.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_returns_is_dialled_again() {
    let (tokens, files) = (fresh_tokens(), files());
    let first = gateway(&tokens, &[]);
    let dialler = dialler(first.http, &tokens, &[files.0.to_str().unwrap()]);
    becomes(&first, "/hello.txt", 200).await;
    let address = first.http.to_string();
    first.signal("-KILL");
    drop(first);
    let second = gateway_at(&address, &tokens, &[]);
    becomes(&second, "/hello.txt", 200).await;
    let (code, log) = second.terminate();
    assert_eq!(code, Some(0), "{log}");
    let third = gateway_at(&address, &tokens, &[]);
    becomes(&third, "/hello.txt", 200).await;
    let (code, log) = dialler.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.matches("connected").count() >= 3, "{log}");
    assert!(log.contains("the gateway has closed the tunnel"), "{log}");
}

/// Reads what a gateway sends in HTTP/2 up to the first request.
fn read_a_request(io: &mut std::net::TcpStream) {
    let mut preface = [0; 24];
    io.read_exact(&mut preface).unwrap();
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).unwrap();
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        io.read_exact(&mut payload).unwrap();
        if head[3] == 1 {
            return;
        }
    }
}

/// A request that one dialler certainly did not begin goes to another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_dialler_did_not_begin_goes_to_another() {
    let (tokens, files) = (fresh_tokens(), files());
    let gateway = gateway(&tokens, &[]);
    let _dialler = dialler(gateway.http, &tokens, &[files.0.to_str().unwrap()]);
    becomes(&gateway, "/hello.txt", 200).await;
    let (mut io, head) = ask(gateway.http, "GET /office", &bearer(TOKEN));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let leaving = tokio::task::spawn_blocking(move || {
        read_a_request(&mut io);
        // GOAWAY: no stream was begun.
        let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        io.write_all(&go_away).unwrap();
        let _ = io.read_to_end(&mut Vec::new());
    });
    patiently(async {
        while !leaving.is_finished() {
            let (status, text) = get(&gateway, "/hello.txt").await;
            assert_eq!((status, &*text), (200, "hello world"));
        }
    })
    .await;
    leaving.await.unwrap();
}

/// A tunnel over which no request passes stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_without_requests_stays() {
    for protocol in PROTOCOLS {
        let (tokens, files) = (fresh_tokens(), files());
        let gateway = gateway(&tokens, &[]);
        let options = [files.0.to_str().unwrap(), "--dial-protocol", protocol];
        let dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/hello.txt", 200).await;
        // Longer than the idle timeouts and several PINGs.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(get(&gateway, "/hello.txt").await.0, 200);
        let (code, log) = dialler.terminate();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.matches("connected;").count(), 1, "{log}");
    }
}

/// The metrics of both ends have the tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_tunnels_and_attempts() {
    let (tokens, files) = (fresh_tokens(), files());
    let metrics = ["--metrics", "127.0.0.1:0"];
    let gateway = super::gateway_until("127.0.0.1:0", &tokens, &metrics, Some("metrics at"));
    let options = [files.0.to_str().unwrap(), "--metrics", "127.0.0.1:0"];
    let url = format!("http://{}/office", gateway.http);
    let dialler = super::dialler_until(&url, &tokens, &options, "metrics at");
    assert!(
        dialler
            .said
            .iter()
            .any(|line| line.contains(&format!("through {url}")))
    );
    becomes(&gateway, "/hello.txt", 200).await;
    let scrape = |said: &[String]| {
        let mut lines = said
            .iter()
            .filter_map(|line| line.trim().strip_prefix("metrics at http://"));
        let address = lines.next().unwrap().strip_suffix("/metrics").unwrap();
        let mut io = std::net::TcpStream::connect(address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        std::io::Write::write_all(&mut io, request.as_bytes()).unwrap();
        let mut page = String::new();
        std::io::Read::read_to_string(&mut io, &mut page).unwrap();
        page
    };
    let page = scrape(&dialler.said);
    let line = format!("lacewingd_dials_total{{url=\"{url}\",outcome=\"connected\"}} 1");
    assert!(page.contains(&line), "{page}");
    let is_up = |up: u32| {
        let page = scrape(&gateway.said);
        let connections = format!("lacewingd_tunnel_connections{{tunnel=\"office\"}} {up}\n");
        let upstream = "lacewingd_upstream_up{route=\"/\",upstream=\"tunnel:office\"}";
        let upstream = format!("{upstream} {up}\n");
        page.contains(&connections) && page.contains(&upstream)
    };
    assert!(is_up(1));
    dialler.signal("-TERM");
    let (code, _) = dialler.wait();
    assert_eq!(code, Some(0));
    becomes(&gateway, "/hello.txt", 503).await;
    patiently(async {
        while !is_up(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// What happens to a request when the dialler dies before and while it works on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_that_is_killed_is_named_as_the_reason() {
    let (here, mut begun) = mpsc::unbounded_channel();
    let hang = move |request: Request<RequestBody>| {
        let here = here.clone();
        async move {
            if request.uri().path() == "/wait" {
                let _ = here.send(());
                std::future::pending::<()>().await;
            }
            Response::new(String::from("ok"))
        }
    };
    let address = upstream(Protocol::Http1, hang).await;
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let to = format!("http://{address}");
        let options = ["--proxy", &to, "--dial-protocol", protocol];
        let dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/", 200).await;
        for front in FRONTS {
            let (status, _) = super::get_by(&gateway, "/", front).await;
            assert_eq!(status, 200);
        }
        let uri = format!("http://{}/wait", gateway.http);
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let waiting = tokio::spawn(client(None).request(request));
        patiently(begun.recv()).await.unwrap();
        dialler.signal("-KILL");
        let response = patiently(waiting).await.unwrap().unwrap();
        let (status, text) = super::text(response).await;
        assert_eq!(status, 502, "{text}");
        assert!(
            text.contains("closed the connection before its response"),
            "{text}"
        );
        let (status, text) = get(&gateway, "/").await;
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("dials in through a tunnel"), "{text}");
        let (_, log) = gateway.terminate();
        assert!(log.contains("tunnel office: 127.0.0.1:"), "{log}");
        assert!(log.contains("connections that remain: 0"), "{log}");
    }
}

/// A dialler whose transport is open and whose program stands still, is given up after a PING.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_dead_tunnel_is_noticed_by_both_ends() {
    for protocol in PROTOCOLS {
        let (tokens, files) = (fresh_tokens(), files());
        let gateway = gateway(&tokens, &[]);
        let options = [files.0.to_str().unwrap(), "--dial-protocol", protocol];
        let dialler = dialler(gateway.http, &tokens, &options);
        becomes(&gateway, "/hello.txt", 200).await;
        dialler.signal("-STOP");
        becomes(&gateway, "/hello.txt", 503).await;
        dialler.signal("-CONT");
        // It finds its tunnel closed, and dials again.
        becomes(&gateway, "/hello.txt", 200).await;
        // The other way round: the dialler gives the gateway up, and returns.
        gateway.signal("-STOP");
        tokio::time::sleep(Duration::from_secs(4)).await;
        gateway.signal("-CONT");
        becomes(&gateway, "/hello.txt", 200).await;
        let (_, log) = dialler.terminate();
        assert!(log.matches("connected").count() >= 3, "{log}");
        let (_, log) = gateway.terminate();
        assert!(log.contains("is gone: "), "{log}");
    }
}

/// A response whose rest the test sends.
async fn halves() -> (std::net::SocketAddr, mpsc::Sender<Frame<Bytes>>) {
    let (send, receive) = mpsc::channel(1);
    let receive = std::sync::Arc::new(std::sync::Mutex::new(Some(receive)));
    let handler = move |request: Request<RequestBody>| {
        let wanted = request.uri().path() == "/half";
        let receive = wanted.then(|| receive.lock().unwrap().take()).flatten();
        let receive = receive.unwrap_or_else(|| mpsc::channel(1).1);
        async move { Response::new(Pieces(receive)) }
    };
    (upstream(Protocol::Http2, handler).await, send)
}

async fn begin(gateway: &Running, send: &mpsc::Sender<Frame<Bytes>>) -> Response<Incoming> {
    let uri = format!("http://{}/half", gateway.http);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let asking = tokio::spawn(client(Some(Version::Http2)).request(request));
    send.send(Frame::data("first ".into())).await.unwrap();
    let response = patiently(asking).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// SIGTERM at either end: the response that has begun arrives whole, and then the program ends.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_either_end_loses_no_response() {
    for protocol in PROTOCOLS {
        for ends in ["dialler", "gateway"] {
            let (address, send) = halves().await;
            let tokens = fresh_tokens();
            let gateway = gateway(&tokens, &[]);
            let to = format!("h2c://{address}");
            let options = ["--proxy", &to, "--dial-protocol", protocol];
            let dialler = dialler(gateway.http, &tokens, &options);
            becomes(&gateway, "/", 200).await;
            let response = begin(&gateway, &send).await;
            match ends {
                "dialler" => {
                    dialler.signal("-TERM");
                    // It takes no more.
                    becomes(&gateway, "/", 503).await;
                }
                _ => {
                    gateway.signal("-TERM");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            send.send(Frame::data("last".into())).await.unwrap();
            drop(send);
            let body = patiently(response.into_body().collect()).await.unwrap();
            assert_eq!(body.to_bytes(), "first last", "{ends} {protocol}");
            let ended = match ends {
                "dialler" => dialler,
                _ => gateway,
            };
            let ended = tokio::task::spawn_blocking(|| ended.wait());
            let (code, log) = patiently(ended).await.unwrap();
            assert_eq!(code, Some(0), "{ends}: {log}");
            assert!(log.contains("goodbye"), "{ends}: {log}");
        }
    }
}

/// Several diallers under one name share its requests; one that ends, by itself or killed, takes
/// none with it that it has not begun.
#[tokio::test(flavor = "multi_thread")]
async fn several_diallers_share_a_tunnel() {
    for protocol in PROTOCOLS {
        let tokens = fresh_tokens();
        let gateway = gateway(&tokens, &[]);
        let mut diallers = Vec::new();
        let mut folders = Vec::new();
        for number in 0..3 {
            let folder = Directory::new(&format!("lacewingd-reverse-share-{number}"));
            std::fs::write(folder.path("who"), number.to_string()).unwrap();
            let options = [folder.0.to_str().unwrap(), "--dial-protocol", protocol];
            diallers.push(dialler(gateway.http, &tokens, &options));
            folders.push(folder);
        }
        let mut seen = BTreeMap::<String, usize>::new();
        patiently(async {
            while seen.len() < 3 {
                let (status, who) = get(&gateway, "/who").await;
                if status == 200 {
                    *seen.entry(who).or_default() += 1;
                }
            }
        })
        .await;
        seen.clear();
        for _ in 0..30 {
            let (status, who) = get(&gateway, "/who").await;
            assert_eq!(status, 200, "{who}");
            *seen.entry(who).or_default() += 1;
        }
        assert!(seen.values().all(|count| *count == 10), "{seen:?}");
        // One after the other leaves while requests pass.
        for dialler in diallers.drain(1..) {
            let (running, address) = (dialler, gateway.http);
            let asking = tokio::spawn(async move {
                let client = client(Some(Version::Http2));
                for _ in 0..200 {
                    let uri = format!("http://{address}/who");
                    let request = Request::get(uri).body(Body::empty()).unwrap();
                    let response = patiently(client.request(request)).await.unwrap();
                    assert_eq!(response.status(), 200);
                }
            });
            running.signal("-TERM");
            patiently(asking).await.unwrap();
            let (code, log) = running.wait();
            assert_eq!(code, Some(0), "{log}");
        }
        assert_eq!(get(&gateway, "/who").await, (200, "0".into()));
    }
}
