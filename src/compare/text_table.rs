//! Columns of styled text, aligned.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const CAUTION: Style = AnsiColor::Yellow.on_default();

pub(super) struct Cell {
    pub text: String,
    pub style: Style,
    is_left: bool,
}

pub(super) fn left(text: impl Into<String>, style: Style) -> Cell {
    Cell { text: text.into(), style, is_left: true }
}

pub(super) fn right(text: impl Into<String>, style: Style) -> Cell {
    Cell { text: text.into(), style, is_left: false }
}

/// The first row is the header.
pub(super) struct TextTable {
    pub rows: Vec<Vec<Cell>>,
}

impl TextTable {
    /// All but the first column are for numbers.
    pub fn new(header: &[&str]) -> TextTable {
        let cell = |(index, name): (usize, &&str)| Cell { text: (*name).into(), style: DIM, is_left: index == 0 };
        TextTable { rows: vec![header.iter().enumerate().map(cell).collect()] }
    }

    pub fn write_to(&self, text: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if index == 0 { "" } else { "  " };
                let fill = " ".repeat(width - cell.text.chars().count());
                let (before, after) = if cell.is_left { ("", &*fill) } else { (&*fill, "") };
                let style = cell.style;
                let _ = write!(line, "{gap}{before}{style}{}{style:#}{after}", cell.text);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }

    /// A table as GitHub and others read it.
    pub fn write_markdown_to(&self, text: &mut String) {
        for (index, row) in self.rows.iter().enumerate() {
            for cell in row {
                let plain = cell.text.replace('|', "\\|");
                let mark = if cell.style == BOLD && !plain.is_empty() { "**" } else { "" };
                let _ = write!(text, "| {mark}{plain}{mark} ");
            }
            text.push_str("|\n");
            if index == 0 {
                for cell in row {
                    text.push_str(if cell.is_left { "| :--- " } else { "| ---: " });
                }
                text.push_str("|\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TextTable {
        let mut table = TextTable::new(&["name", "number"]);
        table.rows.push(vec![left("ä|b", BOLD), right("1,000", PLAIN)]);
        table
    }

    #[test]
    fn columns_line_up_by_characters() {
        let mut text = String::new();
        sample().write_to(&mut text);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "name  number\nä|b    1,000\n");
    }

    #[test]
    fn markdown_escapes_its_own_sign() {
        let mut text = String::new();
        sample().write_markdown_to(&mut text);
        assert_eq!(text, "| name | number |\n| :--- | ---: |\n| **ä\\|b** | 1,000 |\n");
    }
}
