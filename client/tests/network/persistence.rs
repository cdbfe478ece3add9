//! Settings that SPDY servers ask their clients to store, and stream ids that run out, through the
//! pool.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::support::{Witness, every_version, serve};
use lacewing_client::{
    Body, Client, Connect, Connected, Connecting, ConnectionConfig, EarlierSettings, Origin,
    Setting, SettingsKey, SettingsStore, Side, Version,
};
use lacewing_server::{PersistentSettings, ServerEvent, ServerOptions};

/// The settings that clients returned, by connection.
type Returned = Arc<Mutex<Vec<Vec<Setting>>>>;

struct Lab {
    version: Version,
    /// The settings that each connection requests; those of the last apply to all later ones.
    options: Vec<ServerOptions>,
    dialled: Arc<AtomicUsize>,
    /// The connections that go to another address.
    elsewhere: fn(usize) -> bool,
}

impl Connect for Lab {
    fn connect<'a>(&'a self, _origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async {
            let dialled = self.dialled.fetch_add(1, Ordering::SeqCst);
            let (client, server) = tokio::io::duplex(64 * 1024);
            let options = self.options.get(dialled).or(self.options.last());
            let options = options.unwrap().clone();
            serve(server, self.version, options, Witness::default());
            let port = if (self.elsewhere)(dialled) { 81 } else { 80 };
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
        let options = ServerOptions::default()
            .persistent_settings(PersistentSettings {
                forget: false,
                keep,
            })
            .observer(move |event| {
                if let ServerEvent::SettingsReturned { settings, .. } = event {
                    told.lock().unwrap().push(settings.to_vec());
                }
            });
        let dialled = Arc::new(AtomicUsize::new(0));
        let lab = Lab {
            version,
            options: vec![options],
            dialled: Arc::clone(&dialled),
            elsewhere: |dialled| dialled == 2,
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
            // Once: the first connection had no settings, and the third uses another address.
            let expected = [Setting { id: 3, value: 9 }, Setting { id: 5, value: 32 }];
            assert_eq!(*returned, [expected], "{version}");
        }
    });
}

/// CLEAR_SETTINGS: the client no longer returns the stored settings.
#[test]
fn what_a_server_asks_to_forget_is_forgotten() {
    every_version(|version| async move {
        let returned = Returned::default();
        let asking = |forget, keep: &[Setting]| {
            let told = Arc::clone(&returned);
            ServerOptions::default()
                .persistent_settings(PersistentSettings {
                    forget,
                    keep: keep.to_vec(),
                })
                .observer(move |event| {
                    if let ServerEvent::SettingsReturned { settings, .. } = event {
                        told.lock().unwrap().push(settings.to_vec());
                    }
                })
        };
        let (first, second) = (Setting { id: 5, value: 32 }, Setting { id: 3, value: 9 });
        let lab = Lab {
            version,
            options: vec![
                asking(false, &[first]),
                asking(true, &[second]),
                asking(true, &[]),
                asking(false, &[]),
            ],
            dialled: Arc::default(),
            elsewhere: |_| false,
        };
        let client = Client::builder().connector(lab).build();
        let origin = Origin::of(&"http://a.example/".parse().unwrap()).unwrap();
        for _ in 0..5 {
            get(&client).await;
            client.connection(&origin).await.unwrap().shutdown();
        }
        let returned = returned.lock().unwrap();
        if version == Version::Http2 {
            assert!(returned.is_empty());
        } else {
            // The second connection receives the settings of the first, the third those of the
            // second, and later ones none.
            assert_eq!(*returned, [[first], [second]], "{version}");
        }
    });
}

/// Stored in the user's own store, by origin and address.
#[test]
fn settings_may_be_kept_elsewhere() {
    #[derive(Clone, Default)]
    struct Store(Arc<Mutex<Vec<String>>>);

    impl SettingsStore for Store {
        fn load(&self, key: &SettingsKey) -> Vec<Setting> {
            let SettingsKey {
                origin, address, ..
            } = key;
            let text = format!("load for {origin} at {}", address.unwrap());
            self.0.lock().unwrap().push(text);
            vec![Setting { id: 6, value: 1 }]
        }

        fn keep(&self, key: &SettingsKey, earlier: EarlierSettings, settings: &[Setting]) {
            let SettingsKey {
                origin, address, ..
            } = key;
            let address = address.unwrap();
            let text = format!("{earlier:?} {settings:?} for {origin} at {address}");
            self.0.lock().unwrap().push(text);
        }
    }

    every_version(|version| async move {
        let returned = Returned::default();
        let told = Arc::clone(&returned);
        let keep = vec![Setting { id: 5, value: 32 }];
        let expected = format!("Forget {keep:?} for http://a.example at 192.0.2.1:80");
        let options = ServerOptions::default()
            .persistent_settings(PersistentSettings { forget: true, keep })
            .observer(move |event| {
                if let ServerEvent::SettingsReturned { settings, .. } = event {
                    told.lock().unwrap().push(settings.to_vec());
                }
            });
        let lab = Lab {
            version,
            options: vec![options],
            dialled: Arc::default(),
            elsewhere: |_| false,
        };
        let store = Store::default();
        let client = Client::builder()
            .connector(lab)
            .settings_store(store.clone())
            .build();
        get(&client).await;
        let log = store.0.lock().unwrap();
        let returned = returned.lock().unwrap();
        if version == Version::Http2 {
            assert!(log.iter().all(|line| line.starts_with("load")));
            assert!(returned.is_empty());
        } else {
            let load = String::from("load for http://a.example at 192.0.2.1:80");
            assert_eq!(*log, [load, expected], "{version}");
            assert_eq!(*returned, [[Setting { id: 6, value: 1 }]], "{version}");
        }
    });
}

#[test]
fn ids_that_run_out_move_the_client_to_another_connection() {
    every_version(|version| async move {
        let dialled = Arc::new(AtomicUsize::new(0));
        let lab = Lab {
            version,
            options: vec![ServerOptions::default()],
            dialled: Arc::clone(&dialled),
            elsewhere: |_| false,
        };
        let client = Client::builder()
            .connector(lab)
            .connection(
                ConnectionConfig::new(Side::Client)
                    .with(|config| config.first_stream = 0x7fff_fffb),
            )
            // This SPDY server accepts one request per connection: the last of twelve requests is
            // refused eleven times.
            .max_retries(12)
            .build();
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let client = client.clone();
            requests.spawn(async move { get(&client).await });
        }
        // Each request is answered.
        while let Some(done) = requests.join_next().await {
            done.unwrap();
        }
        assert!(
            dialled.load(Ordering::SeqCst) >= 4,
            "three ids a connection"
        );
    });
}
