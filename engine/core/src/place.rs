//! The paths that states manage, and what of them must stay when another state cleans a directory.

use crate::touch::is_below;
use crate::{Graph, Planned, RequisiteKind};

/// A path that a state manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    /// Everything below the path belongs to it.
    pub is_whole: bool,
}

impl Place {
    /// A path with everything below it.
    pub fn whole(path: impl Into<String>) -> Self {
        Place { path: path.into(), is_whole: true }
    }

    /// A path alone.
    pub fn bare(path: impl Into<String>) -> Self {
        Place { path: path.into(), is_whole: false }
    }

    /// Returns true if cleaning the directory `root` must leave `path` alone for the sake of this place: one that lies
    /// below `root` stays with the directories above it.
    pub fn keeps(&self, path: &str, root: &str) -> bool {
        let is_inside = is_below(&self.path, root) && !is_below(root, &self.path);
        is_inside && (is_below(&self.path, path) || (self.is_whole && is_below(path, &self.path)))
    }
}

/// Tells each state the places of the states that it requires.
pub(crate) fn tell_required(graph: &Graph, states: &mut [Planned]) {
    use RequisiteKind::{Require, RequireAny, Watch, WatchAny};
    for index in 0..states.len().min(graph.chunks().len()) {
        if !states[index].resource.cleans() {
            continue;
        }
        let kinds = [Require, RequireAny, Watch, WatchAny];
        let required = kinds.into_iter().flat_map(|kind| graph.targets(index, kind));
        let places = required.filter_map(|target| states.get(target)).flat_map(|s| s.resource.places());
        let places: Vec<Place> = places.collect();
        states[index].resource.keep(places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_above_and_below_it_but_nothing_outside_of_the_cleaned_directory() {
        let rows = [
            (Place::whole("/srv/d/a"), "/srv/d/a/b", true),
            (Place::bare("/srv/d/a"), "/srv/d/a/b", false),
            (Place::bare("/srv/d/a/b"), "/srv/d/a", true),
            (Place::whole("/srv/d/a"), "/srv/d/ab", false),
            (Place::whole("/srv"), "/srv/d/a", false),
            (Place::whole("/srv/d"), "/srv/d/a", false),
            (Place::whole("/srv/e"), "/srv/d/a", false),
        ];
        for (place, path, expected) in rows {
            assert_eq!(place.keeps(path, "/srv/d/"), expected, "{place:?} {path}");
        }
    }
}
