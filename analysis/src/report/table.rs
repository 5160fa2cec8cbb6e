//! A table of the page.

use maud::{Markup, html};

/// What stands in a column, and so on which side its heading and its cells do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A word or a name.
    Words,
    /// A sentence, which may be broken.
    Prose,
    /// Figures, one below the other.
    Figures,
}

impl Kind {
    /// Class of a heading in the style sheet.
    fn of_heading(self) -> Option<&'static str> {
        (self != Kind::Figures).then_some("text")
    }

    /// Class of a cell.
    fn of_cell(self) -> Option<&'static str> {
        match self {
            Kind::Words => Some("text"),
            Kind::Prose => Some("text long"),
            Kind::Figures => None,
        }
    }
}

/// The heading of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    title: &'a str,
    kind: Kind,
}

impl<'a> Head<'a> {
    /// Of words and names.
    pub(super) fn words(title: &'a str) -> Self {
        Head { title, kind: Kind::Words }
    }

    /// Of sentences.
    pub(super) fn prose(title: &'a str) -> Self {
        Head { title, kind: Kind::Prose }
    }

    /// Of figures.
    pub(super) fn figures(title: &'a str) -> Self {
        Head { title, kind: Kind::Figures }
    }
}

/// A table that a narrow screen scrolls by itself; a row has a cell for each of `heads`.
pub(super) fn table(caption: &str, heads: &[Head<'_>], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" class=[head.kind.of_heading()] { (head.title) } } } }
                tbody {
                    @for row in rows {
                        tr { @for (cell, head) in row.iter().zip(heads) { td class=[head.kind.of_cell()] { (cell) } } }
                    }
                }
            }
        }
    }
}

/// A cell that is a text and nothing else.
pub(super) fn plain(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_stands_where_its_column_does_whatever_stands_in_it() {
        let heads = [Head::words("queue"), Head::figures("jobs/s"), Head::prose("why")];
        let none = table("Nothing", &heads, Vec::new()).into_string();
        let headings = |text: &str| text.matches("<th scope=\"col\" class=\"text\">").count();
        assert_eq!((headings(&none), none.matches("<th scope=\"col\">").count()), (2, 1), "{none}");
        let one = table("One", &heads, vec![["a", "1", "b"].map(plain).to_vec()]).into_string();
        assert!(one.contains("<tr><td class=\"text\">a</td><td>1</td><td class=\"text long\">b</td></tr>"), "{one}");
    }
}
