//! What a server can show: one connection, three requests.

use std::time::Duration;

use lacewing_frames::spdy::SettingId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Conditions, Side, Target};

use super::{
    dialect::Dialect,
    expect::Expect,
    frame::{data, settings, syn_stream, window_update},
    play::Player,
};

/// Content that is counted.
const MOST: u32 = 256 * 1024;

pub(crate) async fn probe<T>(target: &mut Target, io: T, conditions: &Conditions) -> Vec<String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let version = target.version;
    let mut player = Player::new(io, Side::Server, version, *conditions);
    let dialect = Dialect {
        version,
        target: target.clone(),
    };
    player
        .send(&[settings(&[(0, SettingId::INITIAL_WINDOW_SIZE, MOST)])])
        .await;
    if version == crate::Version::Spdy31 {
        player.send(&[window_update(0, 3 * MOST)]).await;
    }
    player
        .send(&[
            syn_stream(1, &dialect.get()).fin(),
            syn_stream(3, &dialect.get_large()).fin(),
            syn_stream(5, &dialect.post().and("content-length", "5")),
            data(5, b"hello").fin(),
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

    let content = |id| {
        let stream = player.record.stream(id)?;
        let good = stream.status.is_some_and(|s| (200..=299).contains(&s));
        good.then_some(stream.content)
    };
    let settings = |id| player.record.setting(id);
    let abilities = &mut target.abilities;
    abilities.max_concurrent_streams = settings(SettingId::MAX_CONCURRENT_STREAMS);
    abilities.initial_window_size = settings(SettingId::INITIAL_WINDOW_SIZE).unwrap_or(65_536);
    abilities.answers = content(1).is_some();
    abilities.content = content(1).unwrap_or(0);
    abilities.large_content = content(3).unwrap_or(0);
    abilities.upload = content(5).is_some();
    player.transcript.into_lines()
}
