//! Views of the functions that have a name: a filter, an order, and columns.

use serde::{Deserialize, Serialize};

use crate::functions::ColumnSet;
use crate::sort::Sort;

/// A view of the functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedView {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) filter: String,
    #[serde(default)]
    pub(crate) sort: Sort,
    #[serde(default)]
    pub(crate) reversed: bool,
    #[serde(default)]
    pub(crate) columns: ColumnSet,
}

/// A file of views.
#[derive(Default, Serialize, Deserialize)]
struct File {
    #[serde(default, rename = "view")]
    views: Vec<SavedView>,
}

impl SavedView {
    /// The views that need not be saved.
    pub(crate) fn builtin() -> Vec<Self> {
        let view = |name: &str, filter: &str, sort| Self {
            name: name.into(),
            filter: filter.into(),
            sort,
            reversed: false,
            columns: ColumnSet::Measured,
        };
        vec![
            view("slowest p99", "p99 > 0", Sort::P99),
            view("most calls", "calls > 0", Sort::Calls),
            view("errors", "errors > 0", Sort::Errors),
            view("in flight", "in_flight > 0", Sort::InFlight),
            view("biggest cost", "cost > 0", Sort::Cost),
            view("own code only", "own_code", Sort::Relevance),
        ]
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the views of a file.
    ///
    /// # Errors
    /// If it is no file of views; what is wrong, for people.
    pub fn read_all(toml: &str) -> Result<Vec<Self>, String> {
        let file: File = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
        Ok(file.views)
    }

    /// Writes a file of views.
    ///
    /// # Errors
    /// If the views cannot be written as TOML.
    pub fn write_all(views: Vec<Self>) -> Result<String, String> {
        toml::to_string(&File { views }).map_err(|error| error.to_string())
    }

    /// Puts it among others, in the place of one with its name.
    pub fn put_into(self, views: &mut Vec<Self>) {
        match views.iter_mut().find(|known| known.name == self.name) {
            Some(known) => *known = self,
            None => views.push(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_views_reads_back_as_it_was_written() {
        let mut views = SavedView::builtin();
        views[1].reversed = true;
        views[2].columns = ColumnSet::Code;
        views[3].filter = "name = \"<A as B>::f\" and file = /src/*".into();
        let toml = SavedView::write_all(views.clone()).unwrap();
        assert_eq!(SavedView::read_all(&toml), Ok(views));
    }

    #[test]
    fn only_a_name_is_needed_and_what_later_versions_add_is_no_error() {
        let views = SavedView::read_all("colour = 1\n[[view]]\nname = \"a\"\nzoom = 2").unwrap();
        assert_eq!(views[0].name(), "a");
        for broken in [
            "[[view]]",
            "view = 3",
            "[[view]]\nname = \"a\"\nsort = \"luck\"",
        ] {
            assert!(SavedView::read_all(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_view_takes_the_place_of_one_with_its_name() {
        let mut views = SavedView::builtin();
        let mut view = views[2].clone();
        view.filter = "errors > 5%".into();
        view.clone().put_into(&mut views);
        assert_eq!((views.len(), &views[2]), (6, &view));
        view.name = "other".into();
        view.put_into(&mut views);
        assert_eq!(views.len(), 7);
    }

    #[test]
    fn every_builtin_view_has_a_filter_that_is_understood() {
        for view in SavedView::builtin() {
            let read = crate::typed_filter::read(&view.filter);
            assert!(matches!(read, Some(Ok(_))), "{}", view.name);
        }
    }
}
