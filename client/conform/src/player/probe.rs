//! Reads a server's abilities from its responses.

use std::time::Duration;

use crate::{expect::Expect, target::Target};

use super::{Dialect, Player};

/// The most content that the probe waits for, in bytes.
pub(crate) const MOST: u32 = 256 * 1024;

impl<P: Dialect> Player<'_, P> {
    /// Waits for the responses to GET (1), GET of the large path (3) and POST
    /// (5), and notes the abilities that they show.
    pub(crate) async fn show(&mut self, target: &mut Target) {
        let page = Expect::Any(vec![
            Expect::Content(1.into(), Target::MAX_PAGE.saturating_add(1)),
            Expect::Response(1.into(), 100..=599),
        ]);
        let _ = self.until(&page).await;
        // The large response need not end.
        let _ = self.until(&Expect::Response(5.into(), 100..=599)).await;
        let large = Expect::Any(vec![
            Expect::Content(3.into(), u64::from(MOST)),
            Expect::Response(3.into(), 100..=599),
        ]);
        let _ = self.until(&large).await;
        self.listen(Duration::ZERO).await;

        let content = |id| {
            let stream = self.record.stream(id)?;
            let success = stream.status.is_some_and(|s| (200..=299).contains(&s));
            success.then_some(stream.content)
        };
        let abilities = &mut target.abilities;
        abilities.answers = content(1).is_some();
        abilities.content = content(1).unwrap_or(0);
        abilities.large_content = content(3).unwrap_or(0);
        abilities.upload = content(5).is_some();
    }
}
