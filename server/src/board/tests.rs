//! Tests of a board, by what a viewer sees.

use lacewing_conn::{Side, proto::ConnectionStats};
use serde_json::{Value, json};

use super::*;

async fn ticks(count: u32) {
    tokio::time::sleep(TICK * count).await;
}

fn watched(board: &Board) -> WatchedConnection {
    board.watch(ConnectionFacts::new("h2", "192.0.2.1:4711"))
}

fn news(board: &Board, after: Option<u64>) -> (Update, Value) {
    let update = board.update(after);
    let json = serde_json::from_str(&update.json).unwrap();
    (update, json)
}

fn streams(news: &Value) -> Vec<u64> {
    let streams = news["streams"].as_array().unwrap().iter();
    streams
        .map(|stream| stream["id"].as_u64().unwrap())
        .collect()
}

/// The number of streams that are shown as open.
fn open(news: &Value) -> usize {
    let streams = news["streams"].as_array().unwrap().iter();
    streams.filter(|stream| stream["end"].is_null()).count()
}

/// Those that are shown as ended.
fn ended(news: &Value) -> Vec<u64> {
    let streams = news["streams"].as_array().unwrap().iter();
    let ended = streams.filter(|stream| !stream["end"].is_null());
    ended.map(|stream| stream["id"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_while_nobody_watches() {
    let board = Board::new("test");
    let running = tokio::spawn(board.clone().run());
    let connection = watched(&board);
    connection.begin(1, "GET", "/");
    connection.answered(1, 200);
    ticks(10).await;
    assert!(!connection.is_due() && !board.is_watched());
    assert_eq!(news(&board, None).1["connections"], json!([]));

    let viewer = board.view().unwrap();
    ticks(2).await;
    assert!(connection.is_due() && !connection.is_due());
    connection.begin(3, "GET", "/");
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(streams(&shown), [3]);
    assert_eq!(shown["totals"]["requests"], json!({"h2": 1}));

    // Who returns soon finds it; after a while nothing is left.
    drop(viewer);
    ticks(2).await;
    assert!(board.is_watched());
    ticks(20).await;
    assert!(!board.is_watched() && !connection.is_due());
    let shown = news(&board, None).1;
    assert_eq!(
        (&shown["streams"], &shown["connections"]),
        (&json!([]), &json!([]))
    );
    assert!(connection.entry_is_empty());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_gets_what_changed_since_it_looked() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let (one, two) = (watched(&board), watched(&board));
    ticks(2).await;
    one.begin(1, "GET", "/");
    ticks(2).await;
    let (first, shown) = news(&board, None);
    assert_eq!(first.kind, "snapshot");
    assert_eq!(shown["connections"].as_array().unwrap().len(), 2);
    ticks(2).await;
    let (later, shown) = news(&board, Some(first.seq));
    assert!(later.is_empty && later.kind == "delta", "{shown}");
    two.begin(5, "GET", "/");
    two.reset(5, "CANCEL");
    drop(one);
    ticks(2).await;
    let (last, shown) = news(&board, Some(later.seq));
    assert!(!last.is_empty);
    assert_eq!((streams(&shown), &shown["gone"]), (vec![1, 5], &json!([1])));
    assert_eq!(shown["streams"][1]["reset"], "CANCEL");
    // An update that never was.
    assert_eq!(news(&board, Some(last.seq + 9)).0.kind, "snapshot");
}

#[tokio::test(start_paused = true)]
async fn streams_and_connections_are_bounded() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let many: Vec<_> = (0..MAX_CONNECTIONS + 5).map(|_| watched(&board)).collect();
    ticks(2).await;
    for round in 0..30 {
        for connection in many.iter().take(10) {
            for stream in 0..150 {
                let id = round * 1_000 + stream;
                connection.begin(id, "GET", "/");
                connection.ended(id, None);
            }
        }
        ticks(1).await;
    }
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(
        shown["connections"].as_array().unwrap().len(),
        MAX_CONNECTIONS
    );
    assert_eq!(shown["unlisted"], 5);
    assert_eq!(streams(&shown).len(), 2_000);
    assert_eq!(shown["totals"]["requests"]["h2"], 30 * 10 * 150);
    assert!(shown["totals"]["undrawn"].as_u64().unwrap() > 30_000);
    drop(many);
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(
        (&shown["unlisted"], &shown["totals"]["open"]["h2"]),
        (&json!(0), &json!(0))
    );
}

/// As many connections as a server has, each with as many streams as it may have.
#[tokio::test(start_paused = true)]
async fn records_of_all_connections_are_bounded() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let many: Vec<_> = (0..MAX_CONNECTIONS + 50).map(|_| watched(&board)).collect();
    ticks(2).await;
    let sample = |sent| {
        let stream = |id| StreamSample {
            id,
            sent,
            received: 0,
            window: None,
            stall: None,
        };
        let streams = Some((0..500).map(stream).collect());
        Sample {
            streams,
            ..Sample::default()
        }
    };
    for round in 0..12 {
        for connection in &many {
            connection.sampled(sample(round));
            if round == 0 {
                (501..901).for_each(|stream| connection.begin(stream, "GET", "/"));
            }
        }
        let held: usize = many.iter().map(WatchedConnection::records).sum();
        assert_eq!(held, MAX_RECORDS);
        ticks(1).await;
    }
    let unlisted = many.get(MAX_CONNECTIONS..).unwrap();
    assert!(
        unlisted
            .iter()
            .all(|one| one.records() == 0 && !one.is_due())
    );
    let shown = news(&board, None).1;
    assert_eq!(streams(&shown).len(), model::MAX_OPEN);
    // Their requests count all the same.
    assert_eq!(shown["totals"]["requests"]["h2"], MAX_CONNECTIONS * 400);
}

/// A stream that is with the engine ends when a sample does not have it.
#[tokio::test(start_paused = true)]
async fn a_sample_says_which_streams_are_open() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let connection = watched(&board);
    ticks(2).await;
    let sample = |ids: &[u32]| Sample {
        streams: Some(
            ids.iter()
                .map(|id| StreamSample {
                    id: *id,
                    sent: 7,
                    received: 0,
                    window: Some(0),
                    stall: Some(Stall::StreamWindow),
                })
                .collect(),
        ),
        ..Sample::default()
    };
    for id in [1, 3] {
        connection.begin(id, "GET", "/");
        connection.answered(id, 200);
        connection.given(id, 11);
        connection.handed_over(id);
    }
    connection.sampled(sample(&[3]));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(streams(&shown), [1, 3]);
    let (one, three) = (&shown["streams"][0], &shown["streams"][1]);
    assert_eq!((&one["sent"], one["end"].is_null()), (&json!(11), false));
    assert_eq!((&three["sent"], three["end"].is_null()), (&json!(7), true));
    let last = three["marks"].as_array().unwrap().last().unwrap();
    assert_eq!(last[1], "stream_window");
}

/// A connection with more open streams than it may have records.
#[tokio::test(start_paused = true)]
async fn an_open_stream_is_never_shown_as_ended() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let connection = watched(&board);
    ticks(2).await;
    let sample = |ids: &[u32], open_streams| {
        let stream = |id: &u32| StreamSample {
            id: *id,
            sent: 0,
            received: 0,
            window: None,
            stall: None,
        };
        let mut sample = Sample {
            streams: Some(ids.iter().map(stream).collect()),
            ..Sample::default()
        };
        sample.stats.open_streams = open_streams;
        sample
    };
    let mut ids: Vec<u32> = (0..400).map(|number| 2 * number + 1).collect();
    for id in &ids[..50] {
        connection.begin(*id, "GET", "/");
    }
    connection.sampled(sample(&ids, ids.len()));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!((open(&shown), &shown["left_out"]), (200, &json!(200)));

    // Two end, two begin: these have a place each, and none of the others has ended.
    for id in [1, 3] {
        connection.reset(id, "CANCEL");
        ids.remove(0);
    }
    for id in [801, 803] {
        connection.begin(id, "GET", "/");
        ids.push(id);
    }
    connection.sampled(sample(&ids, ids.len()));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(ended(&shown), vec![1, 3]);
    assert_eq!((open(&shown), &shown["left_out"]), (200, &json!(200)));

    // A sample with the newest streams alone says nothing about older ones.
    connection.sampled(sample(&ids[300..], ids.len()));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(ended(&shown), vec![1, 3]);
    // Of its own ids it does, and a whole one of all.
    connection.sampled(sample(&ids[300..399], ids.len() - 1));
    ticks(2).await;
    assert_eq!(ended(&news(&board, None).1), vec![1, 3, 803]);
    connection.sampled(sample(&ids[..10], 10));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!((open(&shown), &shown["left_out"]), (10, &json!(0)));
}

/// However many streams end in a tick, those that are open are listed, at a later one if need be.
#[tokio::test(start_paused = true)]
async fn streams_that_end_take_no_place_of_open_ones() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let many: Vec<_> = (0..10).map(|_| watched(&board)).collect();
    ticks(2).await;
    for connection in &many {
        for id in 0..100 {
            connection.begin(id, "GET", "/");
            if id < 50 {
                connection.ended(id, None);
            }
        }
    }
    ticks(1).await;
    let shown = news(&board, None).1;
    assert_eq!((open(&shown), &shown["left_out"]), (400, &json!(100)));
    ticks(1).await;
    let shown = news(&board, None).1;
    assert_eq!((open(&shown), &shown["left_out"]), (500, &json!(0)));
}

/// Output that was made in the same turn waits for no transport.
#[tokio::test(start_paused = true)]
async fn a_transport_stalls_when_it_took_nothing_since_the_last_sample() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    let connection = watched(&board);
    ticks(2).await;
    for (written, expected) in [(5, json!(null)), (9, json!(null)), (9, json!("transport"))] {
        connection.sampled(Sample {
            streams: Some(Vec::new()),
            stall: Some(Stall::Transport),
            written,
            ..Sample::default()
        });
        ticks(2).await;
        let shown = news(&board, None).1;
        assert_eq!(shown["connections"][0]["stall"], expected, "{written}");
    }
}

#[tokio::test(start_paused = true)]
async fn figures_of_connections_that_closed_count() {
    let board = Board::new("test");
    let connection = watched(&board);
    let mut stats = ConnectionStats::default();
    stats.data_sent = 70;
    stats.stalls.transport = 3;
    connection.closed(&stats);
    drop(connection);
    tokio::spawn(board.clone().run());
    let _viewer = board.view().unwrap();
    ticks(2).await;
    let totals = &news(&board, None).1["totals"];
    assert_eq!(
        (&totals["sent"], &totals["stalls"]),
        (&json!(70), &json!([0, 0, 3]))
    );
}
/// On a connection with one stream at a time, a stream has the bytes since its begin.
#[tokio::test(start_paused = true)]
async fn bytes_from_before_anybody_watched_are_no_later_streams() {
    let board = Board::new("test");
    tokio::spawn(board.clone().run());
    let connection = watched(&board);
    let sent = Arc::new(AtomicU64::new(100));
    let read = Arc::clone(&sent);
    connection.read_by(move || {
        let mut sample = Sample::default();
        sample.stats.data_sent = read.load(Relaxed);
        sample
    });
    connection.begin(1, "GET", "/");
    connection.ended(1, Some((100, 0)));
    let _viewer = board.view().unwrap();
    ticks(2).await;
    connection.begin(2, "GET", "/");
    sent.store(107, Relaxed);
    connection.ended(2, Some((107, 0)));
    ticks(2).await;
    let shown = news(&board, None).1;
    assert_eq!(streams(&shown), [2]);
    assert_eq!(shown["streams"][0]["sent"], 7);
}

#[tokio::test(start_paused = true)]
async fn figures_are_read_while_somebody_watches() {
    let board = Board::between("test");
    tokio::spawn(board.clone().run());
    let mut read = 0;
    board.set_figures(move || {
        read += 1;
        let mut figures = vec![Figure::count("reads", read); 2 * MAX_FIGURES];
        figures[1] = Figure::time("p50", Some(Duration::from_micros(1_500)));
        figures[2] = Figure::time("p99", None);
        figures[3] = Figure::rate("rate", 2.5);
        figures
    });
    ticks(8).await;
    let _viewer = board.view().unwrap();
    ticks(1).await;
    let (first, shown) = news(&board, None);
    let figures = shown["figures"].as_array().unwrap();
    assert_eq!(figures.len(), MAX_FIGURES);
    assert!(figures[0]["value"].as_f64().unwrap() <= 2.0, "{shown}");
    assert_eq!(
        figures[1..4],
        [
            json!({"name": "p50", "value": 1.5, "unit": "time"}),
            json!({"name": "p99", "value": null, "unit": "time"}),
            json!({"name": "rate", "value": 2.5, "unit": "rate"}),
        ]
    );
    // A figure that changes is news.
    ticks(2).await;
    assert!(!news(&board, Some(first.seq)).0.is_empty);
}

/// What a bystander sees: it counts resets itself, and the bytes of streams between samples.
#[tokio::test(start_paused = true)]
async fn resets_and_bytes_of_others_are_counted() {
    let board = Board::between("test");
    tokio::spawn(board.clone().run());
    let connection = watched(&board);
    connection.count_reset(Side::Server, "REFUSED_STREAM");
    let _viewer = board.view().unwrap();
    ticks(2).await;
    connection.begin(1, "GET", "/");
    connection.taken(1, 5);
    connection.given(1, 7);
    connection.ended(1, None);
    connection.begin(3, "GET", "/");
    connection.count_reset(Side::Client, "CANCEL");
    connection.reset(3, "CANCEL");
    ticks(2).await;
    let shown = news(&board, None).1;
    let stream = &shown["streams"][0];
    assert_eq!(
        (&stream["sent"], &stream["received"]),
        (&json!(7), &json!(5))
    );
    let totals = &shown["totals"];
    assert_eq!(totals["resets_sent"], json!({"REFUSED_STREAM": 1}));
    assert_eq!(totals["resets_received"], json!({"CANCEL": 1}));
    drop(connection);
    ticks(2).await;
    let totals = &news(&board, None).1["totals"];
    assert_eq!(totals["resets_received"], json!({"CANCEL": 1}));
}
