//! What a server can show: one connection, three requests.

use std::time::Duration;

use lacewing_frames::http2::{SettingId, flags};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Conditions, Side, Target};

use super::{
    block::{get, get_large, post},
    expect::Expect,
    frame::{data, headers, window_update},
    play::Player,
};

/// Content that is counted.
const MOST: u32 = 256 * 1024;

pub(crate) async fn probe<T>(target: &mut Target, io: T, conditions: &Conditions) -> Vec<String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut player = Player::new(io, Side::Server, *conditions);
    let window = [(SettingId::INITIAL_WINDOW_SIZE, MOST)];
    if player.handshake(&window).await.is_err() {
        return player.transcript.into_lines();
    }
    let settings = |id| player.record.setting(id);
    let abilities = &mut target.abilities;
    abilities.extended_connect = settings(SettingId::ENABLE_CONNECT_PROTOCOL) == Some(1);
    abilities.max_concurrent_streams = settings(SettingId::MAX_CONCURRENT_STREAMS);
    abilities.max_frame_size = settings(SettingId::MAX_FRAME_SIZE).unwrap_or(16_384);
    abilities.initial_window_size = settings(SettingId::INITIAL_WINDOW_SIZE).unwrap_or(65_535);
    abilities.header_table_size = settings(SettingId::HEADER_TABLE_SIZE).unwrap_or(4_096);

    player.send(&[window_update(0, 3 * MOST)]).await;
    player
        .send(&[
            headers(1, &get(target)).with(flags::END_STREAM),
            headers(3, &get_large(target)).with(flags::END_STREAM),
            headers(5, &post(target)),
            data(5, b"hello").with(flags::END_STREAM),
        ])
        .await;
    // The large one need not come to its end.
    let _ = player.until(&Expect::Response(1.into(), 100..=599)).await;
    let _ = player.until(&Expect::Response(5.into(), 100..=599)).await;
    let large = Expect::Any(vec![
        Expect::Content(3.into(), u64::from(MOST)),
        Expect::Response(3.into(), 100..=599),
    ]);
    let _ = player.until(&large).await;
    player.listen(Duration::ZERO).await;

    let ok = |id, statuses: std::ops::RangeInclusive<u16>| {
        let stream = player.record.stream(id);
        stream.filter(|stream| {
            stream
                .status
                .is_some_and(|status| statuses.contains(&status))
        })
    };
    let abilities = &mut target.abilities;
    abilities.answers = ok(1, 200..=299).is_some();
    abilities.content = ok(1, 200..=299).map_or(0, |stream| stream.content);
    abilities.large_content = ok(3, 200..=299).map_or(0, |stream| stream.content);
    abilities.upload = ok(5, 200..=299).is_some();
    player.transcript.into_lines()
}
