//! Settings that SPDY servers ask their clients to keep, and stream ids that
//! run out, through the pool.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use lacewing_client::{Body, Client, Connect, Connected, Connecting, Origin, Setting, Version};
use lacewing_server::{Event, Options, PersistentSettings};
use support::{Witness, every_version, serve};

/// What clients returned, by connection.
type Returned = Arc<Mutex<Vec<Vec<Setting>>>>;

struct Lab {
    version: Version,
    options: Options,
    dialled: Arc<AtomicUsize>,
}

impl Connect for Lab {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async {
            let dialled = self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            serve(
                server,
                self.version,
                self.options.clone(),
                Witness::default(),
            );
            // Every third connection goes to another address.
            let port = if dialled % 3 == 2 { 81 } else { 80 };
            let address = Some(([192, 0, 2, 1], port).into());
            Ok(Connected::new(client, self.version).at(address))
        })
    }
}

async fn get(client: &Client) {
    let request = http::Request::get("http://a.example/bytes/10")
        .body(Body::empty())
        .unwrap();
    let response = client.request(request).await.unwrap();
    drop(response);
}

#[test]
fn what_a_server_asks_to_keep_comes_back_on_the_next_connection() {
    every_version(|version| async move {
        let returned = Returned::default();
        let told = Arc::clone(&returned);
        let keep = vec![Setting { id: 5, value: 32 }, Setting { id: 3, value: 9 }];
        let options = Options::default()
            .persistent_settings(PersistentSettings {
                forget: false,
                keep,
            })
            .observer(move |event| {
                if let Event::SettingsReturned { settings, .. } = event {
                    told.lock().unwrap().push(settings.to_vec());
                }
            });
        let dialled = Arc::new(AtomicUsize::new(0));
        let lab = Lab {
            version,
            options,
            dialled: Arc::clone(&dialled),
        };
        let client = Client::builder().connector(lab).build();
        let origin = Origin::of(&"http://a.example/".parse().unwrap()).unwrap();
        for _ in 0..3 {
            get(&client).await;
            client.connection(&origin).await.unwrap().shutdown();
        }
        assert_eq!(dialled.load(Ordering::SeqCst), 3);
        let returned = returned.lock().unwrap();
        if version == Version::Http2 {
            assert!(returned.is_empty());
        } else {
            // Once: the first knew nothing, the third is at another address.
            let expected = [Setting { id: 3, value: 9 }, Setting { id: 5, value: 32 }];
            assert_eq!(*returned, [expected], "{version}");
        }
    });
}

#[test]
fn ids_that_run_out_move_the_client_to_another_connection() {
    every_version(|version| async move {
        let dialled = Arc::new(AtomicUsize::new(0));
        let lab = Lab {
            version,
            options: Options::default(),
            dialled: Arc::clone(&dialled),
        };
        let client = Client::builder()
            .connector(lab)
            .first_stream(0x7fff_fffb)
            // A SPDY server that says so takes one request a connection: the
            // last of twelve is refused eleven times.
            .max_retries(12)
            .build();
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let client = client.clone();
            requests.spawn(async move { get(&client).await });
        }
        // Each of them gets its answer.
        while let Some(done) = requests.join_next().await {
            done.unwrap();
        }
        assert!(
            dialled.load(Ordering::SeqCst) >= 4,
            "three ids a connection"
        );
    });
}
