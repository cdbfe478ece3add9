//! The memory budget, over HTTP/1.1.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use lacewing_conn::driver::facade::MemoryAccount;
use lacewing_server::{
    ConnectionConfig, MemoryBudget, MemoryStep, Protocol, RequestBody, ServeError, ServerEvent,
    ServerOptions, Side, serve_connection, service_fn,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::timeout,
};

const CAPACITY: usize = 200 << 10;

type Serving = JoinHandle<Result<(), ServeError>>;

fn serve(budget: &MemoryBudget) -> (DuplexStream, Serving, Arc<Mutex<Vec<MemoryStep>>>) {
    let (client, io) = duplex(1 << 10);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let config =
        ConnectionConfig::new(Side::Server).with(|config| config.memory_budget = budget.clone());
    let options = ServerOptions::default()
        .connection(config)
        .observer(move |event| {
            if let ServerEvent::MemoryPressure { step, .. } = event {
                seen.lock().unwrap().push(*step);
            }
        });
    let service = service_fn(|request: Request<RequestBody>| async move {
        let length = if request.uri().path() == "/large" {
            1 << 20
        } else {
            5
        };
        Ok::<_, std::io::Error>(Response::new("x".repeat(length)))
    });
    let serving = tokio::spawn(serve_connection(io, Protocol::Http1, options, service));
    (client, serving, steps)
}

async fn ask(io: &mut DuplexStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Accounts that hold this number of bytes together, each less than a connection.
fn others(budget: &MemoryBudget, bytes: usize) -> Vec<MemoryAccount> {
    let each = 9 << 10;
    let mut accounts = Vec::new();
    for _ in 0..bytes / each {
        let mut account = budget.open_account();
        account.report(each);
        accounts.push(account);
    }
    accounts
}

async fn ended(serving: Serving) -> ServeError {
    let ended = timeout(Duration::from_secs(60), serving).await;
    ended.expect("it ends").unwrap().unwrap_err()
}

#[tokio::test]
async fn the_costliest_http1_connection_is_closed() {
    let budget = MemoryBudget::new(CAPACITY);
    let (mut io, serving, steps) = serve(&budget);
    ask(&mut io, "/").await;
    assert!(budget.held() >= 8 << 10);
    let _others = others(&budget, CAPACITY * 9 / 10);
    let error = ended(serving).await;
    let text = error.to_string();
    assert!(
        text.contains("memory_budget") && text.contains("204800"),
        "{text}"
    );
    assert_eq!(*steps.lock().unwrap(), [MemoryStep::Close]);
    assert_eq!(budget.stats().closed, 1);
}

#[tokio::test]
async fn a_response_that_is_not_read_is_shed_and_others_are_served() {
    let budget = MemoryBudget::new(CAPACITY);
    let (mut unread, shed, steps) = serve(&budget);
    let (mut io, _serving, _) = serve(&budget);
    ask(&mut unread, "/large").await;
    ask(&mut io, "/").await;
    let room = CAPACITY * 80 / 100 - budget.held();
    let _others = others(&budget, room);
    assert!(ended(shed).await.to_string().contains("memory_budget"));
    assert_eq!(*steps.lock().unwrap(), [MemoryStep::Shed]);
    ask(&mut io, "/").await;
    let mut answers = vec![0; 4096];
    let mut seen = String::new();
    while seen.matches("200 OK").count() < 2 {
        let len = timeout(Duration::from_secs(60), io.read(&mut answers)).await;
        let len = len.unwrap().unwrap();
        assert!(len > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&answers[..len]));
    }
}

/// Accounts that hold so much that new requests are refused. The budget closes the first, which
/// takes some time.
fn fill(budget: &MemoryBudget) -> Vec<MemoryAccount> {
    let mut costliest = budget.open_account();
    costliest.report(CAPACITY * 60 / 100);
    let mut accounts = others(budget, CAPACITY * 30 / 100);
    accounts.push(costliest);
    accounts
}

/// The client has not read the response while it sends: its content is discarded, so that the
/// transport is not reset.
#[tokio::test]
async fn the_upload_of_a_request_that_is_answered_with_503_is_discarded() {
    let budget = MemoryBudget::new(CAPACITY);
    let (mut io, serving, _) = serve(&budget);
    let _held = fill(&budget);
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n";
    io.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..3 {
        io.write_all(&[b'x'; 100_000]).await.unwrap();
    }
    let mut answer = String::new();
    let read = io.read_to_string(&mut answer);
    timeout(Duration::from_secs(60), read)
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let _ = timeout(Duration::from_secs(60), serving).await.unwrap();
}

#[tokio::test]
async fn new_requests_of_a_connection_above_its_share_are_answered_with_503() {
    // The connection alone exceeds its share only at the last step.
    let budget = MemoryBudget::new(CAPACITY);
    let (mut io, serving, steps) = serve(&budget);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let _held = fill(&budget);
    io.write_all(request).await.unwrap();
    let mut answer = String::new();
    let read = io.read_to_string(&mut answer);
    timeout(Duration::from_secs(60), read)
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    let _ = timeout(Duration::from_secs(60), serving).await.unwrap();
    assert!(steps.lock().unwrap().contains(&MemoryStep::Refuse));
    assert!(budget.stats().refused > 0);
}
