//! Pushes, informational responses, advertisements and upgrades, against our own server.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, Response};
use lacewing_client::{ClientOptions, Connection, OnInformational, Origin, PushPolicy, Version};
use lacewing_server::{
    Extension, Informer, Pusher, RequestBody, ServerOptions, serve_connection, service_fn,
};

use crate::support::*;

/// Pushes a style sheet with each page, and sends hints before it.
async fn site(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    if path != "/page" {
        return Ok(Response::new(format!("this is {path}")));
    }
    if let Some(pusher) = request.extensions().get::<Pusher>() {
        for style in ["/a.css", "/b.css"] {
            let pushed = Request::get(style).body(()).unwrap();
            // Refused if the client accepts none.
            let _ = pusher.push(pushed).await;
        }
    }
    if let Some(informer) = request.extensions().get::<Informer>() {
        let mut hints = HeaderMap::new();
        hints.insert("link", "</c.css>; rel=preload".parse().unwrap());
        // SPDY has no frame for it.
        let _ = informer.early_hints(hints).await;
    }
    Ok(Response::new(String::from("page")))
}

fn connect(version: Version, config: ClientOptions) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let options = ServerOptions::default()
        .informer(Extension::Insert)
        .pusher(Extension::Insert)
        .alternative_services("http://test.example", "h2=\":8443\"");
    tokio::spawn(serve_connection(server, version, options, service_fn(site)));
    let (connection, task) = Connection::handshake(client, version, config);
    tokio::spawn(task);
    connection
}

#[test]
fn pages_push_their_styles() {
    every_version(|version| async move {
        let config = ClientOptions::default().accept_push(PushPolicy::default());
        let connection = connect(version, config);
        let mut pushes = connection.pushes();
        for _ in 0..3 {
            let page = connection.request(get("/page")).await.unwrap();
            assert_eq!(text(page).await, "page");
            for style in ["/a.css", "/b.css"] {
                let pushed = pushes.next().await.unwrap();
                assert_eq!(pushed.request.uri().path(), style, "{version}");
                assert_eq!(pushed.request.uri().host(), Some("test.example"));
                assert_eq!(pushed.parent.path(), "/page");
                let response = pushed.response.await.unwrap();
                assert_eq!(text(response).await, format!("this is {style}"));
            }
        }
        until("an idle connection", || connection.is_idle()).await;
    });
}

#[test]
fn by_default_nothing_is_pushed() {
    every_version(|version| async move {
        let connection = connect(version, ClientOptions::default());
        let page = connection.request(get("/page")).await.unwrap();
        assert_eq!(text(page).await, "page");
        assert!(connection.pushes().next().await.is_none());
        until("an idle connection", || connection.is_idle()).await;
    });
}

#[test]
fn hints_come_where_there_is_a_word_for_them() {
    every_version(|version| async move {
        let connection = connect(version, ClientOptions::default());
        let hints: Arc<Mutex<Vec<Response<()>>>> = Arc::default();
        let seen = Arc::clone(&hints);
        let mut request = get("/page");
        let tell = OnInformational::new(move |hint| seen.lock().unwrap().push(hint));
        request.extensions_mut().insert(tell);
        let page = connection.request(request).await.unwrap();
        assert_eq!(text(page).await, "page");
        let hints = hints.lock().unwrap();
        let expected = usize::from(version == Version::Http2);
        assert_eq!(hints.len(), expected, "{version}");
        for hint in hints.iter() {
            assert_eq!(hint.status(), 103);
            assert_eq!(hint.headers()["link"], "</c.css>; rel=preload");
        }
    });
}

#[tokio::test]
async fn the_servers_alternatives_are_known() {
    let connection = connect(Version::Http2, ClientOptions::default());
    let page = connection.request(get("/other")).await.unwrap();
    assert_eq!(text(page).await, "this is /other");
    let services = connection.alternative_services();
    assert_eq!(services.len(), 1);
    let origin = Origin::of(&"http://test.example".parse().unwrap()).unwrap();
    assert_eq!(services[0].origin, Some(origin));
    assert_eq!(services[0].value, "h2=\":8443\"");
}

#[cfg(feature = "h2c")]
#[tokio::test]
async fn a_client_upgrades_with_our_server() {
    use lacewing_client::{Body, Client};
    use lacewing_server::{H2cUpgrade, Protocol, Server};

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::builder()
        .bind(([127, 0, 0, 1], 0).into())
        .options(|options| {
            options
                .protocols([Protocol::Http2, Protocol::Http1])
                .h2c_upgrade(H2cUpgrade::Accept { max_body: 64 << 10 })
        })
        .shutdown(async move { drop(stopped.await) })
        .build()
        .await
        .unwrap();
    let address = server.local_addrs().next().unwrap();
    let witness = Witness::default();
    let service = service_fn(move |request| routes(request, witness.clone()));
    let serving = tokio::spawn(server.serve(service));
    let url = |path: &str| format!("http://{address}{path}");
    let body = || Body::from(pattern(60_000));
    for first in ["small", "body", "stream"] {
        let client = Client::builder().h2c_upgrade().build();
        let response = match first {
            "small" => {
                let request = Request::get(url("/bytes/300000")).body(Body::empty());
                let response = client.request(request.unwrap()).await.unwrap();
                assert_eq!(response.version(), http::Version::HTTP_2);
                assert_eq!(measure(response.into_body()).await.0, 300_000);
                let request = Request::post(url("/digest")).body(body()).unwrap();
                client.request(request).await.unwrap()
            }
            "body" => {
                let request = Request::post(url("/digest")).body(body()).unwrap();
                client.request(request).await.unwrap()
            }
            _ => {
                let body = Generator::new(60_000, Arc::default());
                let request = Request::post(url("/digest")).body(body).unwrap();
                client.request(request).await.unwrap()
            }
        };
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(text(response).await, sha256(&pattern(60_000)), "{first}");
        assert_eq!(client.connections(), 1);
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}
