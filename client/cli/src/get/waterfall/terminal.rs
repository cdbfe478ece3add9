//! The waterfall as text.

use std::{fmt, time::Duration};

use lacewing_conform::Side;

use super::timeline::{Connection, Row, Timeline};
use crate::{
    console,
    get::record::{short, size},
};

/// The columns of a pipe.
const PIPE: usize = 100;
/// The fewest and the most columns.
const WIDTHS: (usize, usize) = (60, 240);
/// The rows of one connection.
const MAX_ROWS: usize = 200;

/// Stands for `Timeline` in text.
pub(super) struct Text<'a> {
    timeline: &'a Timeline,
    width: usize,
    colour: bool,
}

/// What fills a column of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Nothing,
    Step(&'static str),
    Waiting,
    Open,
    Received,
    Sent,
    Stalled,
    Reset,
}

impl<'a> Text<'a> {
    /// For standard error.
    pub(super) fn new(timeline: &'a Timeline) -> Self {
        let columns = ::console::Term::stderr().size_checked();
        let columns = columns.map_or(PIPE, |(_, columns)| usize::from(columns));
        Self {
            timeline,
            width: columns.clamp(WIDTHS.0, WIDTHS.1),
            colour: console::stderr_has_colour(),
        }
    }

    /// The columns of a title, and those of a bar.
    fn columns(&self) -> (usize, usize) {
        let title = (self.width / 4).clamp(12, 48);
        // Beside it: id, mark, outcome, size, time, two edges and the blanks between.
        let bar = self.width.saturating_sub(title).saturating_sub(34);
        (title, bar.max(16))
    }

    /// The column of a time.
    fn column(&self, at: Duration) -> usize {
        let (_, bar) = self.columns();
        let length = self.timeline.length.as_nanos().max(1);
        let column = at.as_nanos().saturating_mul(bar as u128) / length;
        usize::try_from(column)
            .unwrap_or(bar)
            .min(bar.saturating_sub(1))
    }

    fn fill(&self, cells: &mut [Cell], from: Duration, to: Duration, cell: Cell) {
        let range = self.column(from)..=self.column(to);
        for place in cells.get_mut(range).unwrap_or_default() {
            *place = cell;
        }
    }

    fn empty(&self) -> Vec<Cell> {
        vec![Cell::Nothing; self.columns().1]
    }

    fn dialling(&self, connection: &Connection) -> Vec<Cell> {
        let mut cells = self.empty();
        for step in &connection.steps {
            self.fill(&mut cells, step.from, step.to, Cell::Step(step.name));
        }
        cells
    }

    fn row(&self, row: &Row) -> Vec<Cell> {
        let mut cells = self.empty();
        self.fill(&mut cells, row.opened, row.ended, Cell::Open);
        let until = row.answered.unwrap_or(row.ended);
        self.fill(&mut cells, row.opened, until, Cell::Waiting);
        for stall in &row.stalls {
            self.fill(&mut cells, stall.from, stall.to, Cell::Stalled);
        }
        for chunk in row.chunks.iter().filter(|chunk| chunk.length > 0) {
            let cell = match chunk.from {
                Side::Client => Cell::Sent,
                Side::Server => Cell::Received,
            };
            self.fill(&mut cells, chunk.at, chunk.at, cell);
        }
        if row.was_reset {
            self.fill(&mut cells, row.ended, row.ended, Cell::Reset);
        }
        cells
    }

    fn paint(&self, cells: &[Cell]) -> String {
        let mut text = String::new();
        for cell in cells {
            let (letter, colour) = cell.look();
            match self.colour && !colour.is_empty() {
                true => text.push_str(&format!("\x1b[{colour}m{letter}\x1b[0m")),
                false => text.push(letter),
            }
        }
        text
    }

    fn connection(&self, f: &mut fmt::Formatter<'_>, connection: &Connection) -> fmt::Result {
        let (title, _) = self.columns();
        let of = |side| {
            let frames = connection.frames.iter();
            frames.filter(|frame| frame.from == side).count()
        };
        write!(f, "{} {}", connection.protocol, connection.origin)?;
        if !connection.frames.is_empty() {
            let (sent, received) = (of(Side::Client), of(Side::Server));
            write!(f, ": {sent} frames sent, {received} received")?;
        }
        writeln!(f)?;
        if !connection.steps.is_empty() {
            let names: Vec<_> = connection
                .steps
                .iter()
                .map(|step| format!("{} {}", step.name, short(step.to.saturating_sub(step.from))))
                .collect();
            let first = connection.steps.first().map(|step| step.from);
            let last = connection.steps.last().map(|step| step.to);
            let time = last
                .unwrap_or_default()
                .saturating_sub(first.unwrap_or_default());
            let names = cut(&names.join(", "), title.saturating_add(15));
            let bar = self.paint(&self.dialling(connection));
            let wide = title.saturating_add(15);
            writeln!(f, "      {names:<wide$} |{bar}| {:>9}", short(time))?;
        }
        for row in connection.rows.iter().take(MAX_ROWS) {
            let mark = if row.is_pushed { '*' } else { ' ' };
            let name = cut(&row.title, title);
            let bytes = match row.bytes(Side::Server) {
                0 => row.bytes(Side::Client),
                received => received,
            };
            let outcome = cut(&row.outcome, 6);
            let bar = self.paint(&self.row(row));
            let time = short(row.ended.saturating_sub(row.opened));
            writeln!(
                f,
                "{:>4}{mark} {name:<title$} {outcome:>6} {:>7} |{bar}| {time:>9}",
                row.id,
                size(bytes)
            )?;
        }
        let more = connection.rows.len().saturating_sub(MAX_ROWS);
        if more > 0 {
            writeln!(f, "      and {more} more: see --waterfall=FILE.html")?;
        }
        Ok(())
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for connection in &self.timeline.connections {
            self.connection(f, connection)?;
        }
        let kinds = [
            (Cell::Step("DNS"), "DNS"),
            (Cell::Step("TCP"), "TCP"),
            (Cell::Step("TLS"), "TLS"),
            (Cell::Waiting, "waiting"),
            (Cell::Received, "receiving"),
            (Cell::Sent, "sending"),
            (Cell::Open, "open"),
            (Cell::Stalled, "window empty"),
            (Cell::Reset, "reset"),
        ];
        write!(f, "{} in all.", short(self.timeline.length))?;
        for (cell, name) in kinds {
            write!(f, "  {} {name}", self.paint(&[cell]))?;
        }
        writeln!(f, "  * pushed")?;
        if self.timeline.lost > 0 {
            writeln!(f, "The last {} frames are missing.", self.timeline.lost)?;
        }
        Ok(())
    }
}

impl Cell {
    /// Its letter, and its colour as an SGR code.
    fn look(self) -> (char, &'static str) {
        match self {
            Self::Nothing => (' ', ""),
            Self::Step("DNS") => ('d', "36"),
            Self::Step("TCP") => ('c', "33"),
            Self::Step(_) => ('t', "35"),
            Self::Waiting => ('─', "32"),
            Self::Open => ('·', "34"),
            Self::Received => ('█', "34"),
            Self::Sent => ('▲', "36"),
            Self::Stalled => ('░', "31"),
            Self::Reset => ('x', "1;31"),
        }
    }
}

/// Shortens a text to so many letters.
fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept = text.chars().take(letters.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        get::waterfall::{
            flow::Stall,
            timeline::{Chunk, Step},
        },
        windows::Cause,
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bar_has_a_column_for_each_part_of_the_time() {
        let chunk = |at, from| Chunk {
            at: ms(at),
            from,
            length: 1024,
        };
        let timeline = Timeline {
            length: ms(160),
            connections: vec![Connection {
                origin: "https://a.example".to_owned(),
                protocol: "h2",
                steps: vec![
                    Step {
                        name: "DNS",
                        from: ms(0),
                        to: ms(10),
                    },
                    Step {
                        name: "TCP",
                        from: ms(10),
                        to: ms(30),
                    },
                ],
                rows: vec![
                    Row {
                        id: 1,
                        title: "GET /a-very-long-path".to_owned(),
                        opened: ms(40),
                        answered: Some(ms(60)),
                        ended: ms(150),
                        outcome: "200".to_owned(),
                        chunks: vec![chunk(70, Side::Server), chunk(150, Side::Server)],
                        stalls: vec![Stall {
                            from: ms(80),
                            to: ms(130),
                            cause: Cause::Stream,
                        }],
                        ..Row::default()
                    },
                    Row {
                        id: 2,
                        title: "GET /b".to_owned(),
                        is_pushed: true,
                        opened: ms(50),
                        ended: ms(90),
                        outcome: "CANCEL".to_owned(),
                        was_reset: true,
                        ..Row::default()
                    },
                ],
                ..Connection::default()
            }],
            lost: 0,
        };
        let text = Text {
            timeline: &timeline,
            width: 60,
            colour: false,
        };
        let text = text.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "h2 https://a.example");
        assert_eq!(
            lines[1],
            "      DNS 10.00ms, TCP 20.00ms       |dccc            |   30.00ms"
        );
        let lines: Vec<_> = lines[2..4].iter().map(|line| line.trim_start()).collect();
        assert_eq!(
            lines[0],
            "1  GET /a-very-lo…    200      2K |    ───█░░░░░░·█|  110.00ms"
        );
        assert_eq!(
            lines[1],
            "2* GET /b          CANCEL       0 |     ────x      |   40.00ms"
        );
    }
}
