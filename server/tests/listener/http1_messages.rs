//! Messages over HTTP/1.1: hyper's rules, and those that it leaves to the server.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Body;
use http_body_util::{BodyExt as _, Empty, Full};
use lacewing_server::{ConnectionConfig, RequestBody, Server, Side, service_fn};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

/// Responds with the host of the request; or with the status in the path, five bytes and their
/// length.
async fn answer(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = request.uri().path().trim_start_matches('/');
    let Ok(status) = StatusCode::from_bytes(status.as_bytes()) else {
        let hosts: Vec<_> = request.headers().get_all("host").iter().collect();
        let text = format!("{} {hosts:?}", request.uri());
        return Ok(Response::new(text.into()));
    };
    let mut response = Response::new(Full::from("hello"));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
    Ok(response)
}

/// Sends requests, each on a new connection, and returns the answers.
async fn ask(requests: &[&[u8]]) -> Vec<String> {
    ask_service(requests, answer).await
}

async fn ask_service<F, R, B>(requests: &[&[u8]], service: F) -> Vec<String>
where
    F: Fn(Request<RequestBody>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let config = ConnectionConfig::new(Side::Server).with(|config| {
        config.limits.upload_linger = Duration::from_secs(30);
    });
    ask_configured(config, requests, service).await
}

async fn ask_configured<F, R, B>(
    config: ConnectionConfig,
    requests: &[&[u8]],
    service: F,
) -> Vec<String>
where
    F: Fn(Request<RequestBody>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .connection(config)
        .shutdown(async { stopped.await.unwrap_or(()) })
        .build()
        .await
        .unwrap();
    let address = server.local_addrs().next().unwrap();
    let serving = tokio::spawn(server.serve(service_fn(service)));
    let mut answers = Vec::new();
    for request in requests {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.unwrap();
        answers.push(String::from_utf8(answer).unwrap());
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
    answers
}

fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{fields}connection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let good = [
        ("/", "host: a:80\r\n", "/ [\"a:80\"]"),
        ("/", "host:\r\n", "/ [\"\"]"),
        (
            "/",
            "host: %2Frun%2Fsock.sock\r\n",
            "/ [\"%2Frun%2Fsock.sock\"]",
        ),
        // The target has priority over the field (RFC 9112 §3.2.2).
        ("http://b/", "host: a\r\n", "http://b/ [\"b\"]"),
    ];
    let requests: Vec<_> = good
        .iter()
        .map(|(target, fields, _)| get(target, fields))
        .collect();
    let requests: Vec<_> = requests.iter().map(Vec::as_slice).collect();
    for (answer, (_, _, expected)) in ask(&requests).await.iter().zip(good) {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with(expected), "{answer}: {expected}");
    }
    let bad = [
        ("/", ""),
        ("http://a/", ""),
        ("/", "host: a\r\nhost: b\r\n"),
        ("/", "host: a\r\nhost: a\r\n"),
        ("/", "host: a b\r\n"),
        ("/", "host: user@a\r\n"),
        ("http://user@a/", "host: a\r\n"),
    ];
    let requests: Vec<_> = bad
        .iter()
        .map(|(target, fields)| get(target, fields))
        .collect();
    let requests: Vec<_> = requests.iter().map(Vec::as_slice).collect();
    for (answer, request) in ask(&requests).await.iter().zip(bad) {
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_status_without_content_leaves_without_it() {
    for (status, length) in [(204, None), (205, Some("0")), (304, Some("5"))] {
        let request = get(&format!("/{status}"), "host: a\r\n");
        let answer = ask(&[&request]).await.remove(0);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(body, "", "{answer}");
        let sent = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(sent, length, "{answer}");
    }
    let request = b"HEAD /200 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = ask(&[request]).await.remove(0);
    assert!(answer.contains("content-length: 5"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

/// axum leaves out the content of a response to HEAD itself.
#[tokio::test]
async fn a_response_to_head_claims_no_length_that_it_does_not_know() {
    let request = b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let empty = |_| async { Ok(Response::new(Empty::<Bytes>::new())) };
    let answer = ask_service(&[request], empty).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
}

/// The client sends its whole upload before it reads. It does not fail on the way.
#[tokio::test]
async fn a_client_that_still_uploads_reads_its_early_response() {
    let head = b"POST /413 HTTP/1.1\r\nhost: a\r\ncontent-length: 20000000\r\n\r\n";
    let request = [&head[..], &[b'x'; 20_000_000]].concat();
    let answer = ask(&[&request]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Neither does one whose head is too large to be read whole.
    let fields = format!("x: {}\r\n", "a".repeat(5_000_000));
    let answer = ask(&[&get("/", &fields)]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_head_may_have_as_many_fields_as_the_limit_permits() {
    let fields = |count: usize| -> String { (0..count).map(|n| format!("x-{n}: a\r\n")).collect() };
    for (limit, count, status) in [
        (1_000, 150, "200"),
        (1_000, 1_100, "431"),
        (20, 30, "431"),
        // Larger than a header map can be.
        (usize::MAX, 150, "200"),
    ] {
        let config = ConnectionConfig::new(Side::Server).with(|config| {
            config.limits.max_header_fields = limit;
        });
        let request = get("/200", &format!("host: a\r\n{}", fields(count)));
        let answer = ask_configured(config, &[&request], answer).await.remove(0);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{limit} {count}: {answer}"
        );
    }
}

/// The rest of the upload arrives after the response is sent.
#[tokio::test]
async fn a_client_that_pauses_in_its_upload_reads_its_early_response() {
    // No handler sees the second request: it has two hosts.
    for (fields, status) in [("", "413"), ("host: b\r\n", "400")] {
        let config = ConnectionConfig::new(Side::Server).with(|config| {
            config.limits.upload_linger = Duration::from_secs(30);
        });
        let server = Server::builder()
            .bind(([127, 0, 0, 1], 0).into())
            .connection(config)
            .build()
            .await
            .unwrap();
        let address = server.local_addrs().next().unwrap();
        tokio::spawn(server.serve(service_fn(answer)));
        let mut io = TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST /413 HTTP/1.1\r\nhost: a\r\n{fields}content-length: 3000000\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        // The response and the server's end are here now.
        let mut start = [0; 12];
        io.read_exact(&mut start).await.unwrap();
        assert_eq!(start, format!("HTTP/1.1 {status}").as_bytes());
        tokio::time::sleep(Duration::from_millis(50)).await;
        for _ in 0..30 {
            io.write_all(&[b'x'; 100_000]).await.unwrap();
        }
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("\r\nconnection: close\r\n"), "{rest}");
    }
}

/// RFC 9112 §9.6: a server that closes after a response says so in it.
#[tokio::test]
async fn the_response_to_an_unread_upload_says_that_the_connection_closes() {
    let closes = |answer: &str| answer.contains("\r\nconnection: close\r\n");
    let upload = |more: &str, len: usize| {
        let head = format!("POST /413 HTTP/1.1\r\nhost: a\r\ncontent-length: {len}\r\n{more}\r\n");
        [head.as_bytes(), &vec![b'x'; len]].concat()
    };
    // No handler sees a request with two hosts.
    let expects = "expect: 100-continue\r\nhost: b\r\n";
    for fields in ["host: b\r\n", expects] {
        for len in [1, 10_000, 20_000_000] {
            let answer = ask(&[&upload(fields, len)]).await.remove(0);
            assert!(answer.starts_with("HTTP/1.1 400 "), "{len}: {answer}");
            assert!(closes(&answer), "{fields}{len}: {answer}");
        }
    }
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = format!("100000\r\n{}\r\n", "x".repeat(1 << 20)).repeat(4);
    for chunks in ["", "1\r\nx\r\n0\r\n\r\n", &chunks] {
        let answer = ask(&[format!("{chunked}{chunks}").as_bytes()])
            .await
            .remove(0);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(closes(&answer), "{} B of chunks: {answer}", chunks.len());
    }
    let answer = ask(&[&upload("", 20_000_000)]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(closes(&answer), "{answer}");
    // The client waits for 100 and sends nothing.
    let head = b"POST /413 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 20000000\r\n\r\n";
    let answer = ask(&[head]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(closes(&answer), "{answer}");
    // No handler sees this request: it has two hosts.
    let answer = ask(&[&upload("host: b\r\n", 20_000_000)]).await.remove(0);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(closes(&answer), "{answer}");
    // A short upload is read, and the connection goes on. So it does after an upload that the
    // handler reads.
    let next = get("/204", "host: a\r\n");
    let answer = ask(&[&[upload("", 1_000), next.clone()].concat()]).await;
    let (first, second) = answer[0].split_once("hello").unwrap();
    assert!(!closes(first), "{answer:?}");
    assert!(second.starts_with("HTTP/1.1 204 "), "{answer:?}");
    let read = |request: Request<RequestBody>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok(Response::new(Full::from(format!("read {}", body.len()))))
    };
    let requests = [upload("", 1_000_000), next].concat();
    let answer = ask_service(&[&requests], read).await;
    let (first, second) = answer[0].split_once("read 1000000").unwrap();
    assert!(!closes(first), "{answer:?}");
    assert!(second.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

/// Each request is served or answered. The connection never just ends.
#[tokio::test]
async fn a_target_has_the_form_of_its_method() {
    let request = |method: &str, target: &str, more: &str| {
        format!("{method} {target} HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n{more}\r\n")
    };
    for (method, target, more, status) in [
        ("OPTIONS", "*", "", "200"),
        ("TRACE", "/x", "", "200"),
        ("TRACE", "/x", "content-length: 0\r\n", "200"),
        ("GET", "*", "", "400"),
        ("GET", "a:1", "", "400"),
        ("CONNECT", "/x", "", "400"),
        ("CONNECT", "a", "", "400"),
        ("TRACE", "/x", "content-length: 1\r\n", "400"),
        ("TRACE", "/x", "transfer-encoding: chunked\r\n", "400"),
    ] {
        let request = request(method, target, more);
        let answers = ask(&[request.as_bytes()]).await;
        let head = format!("HTTP/1.1 {status} ");
        assert!(answers[0].starts_with(&head), "{request}: {}", answers[0]);
    }
}

#[tokio::test]
async fn odd_paths_have_an_answer() {
    let paths: Vec<Vec<u8>> = (b'!'..=0xff)
        .filter(|byte| *byte != 0x7f)
        .map(|byte| vec![b'/', byte])
        .chain([b"/\xc3\xa9".to_vec(), b"/?\xc3\xa9".to_vec()])
        .collect();
    let requests: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            let mut request = b"GET ".to_vec();
            request.extend_from_slice(path);
            request.extend_from_slice(b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            request
        })
        .collect();
    let requests: Vec<_> = requests.iter().map(Vec::as_slice).collect();
    for (answer, path) in ask(&requests).await.iter().zip(&paths) {
        let served = answer.starts_with("HTTP/1.1 200 ");
        let answered = answer.starts_with("HTTP/1.1 400 ");
        assert!(served || answered, "{path:?}: {answer}");
        let fits = http::uri::PathAndQuery::try_from(&path[..]).is_ok();
        assert!(fits || answered, "{path:?}: {answer}");
    }
}
