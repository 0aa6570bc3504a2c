//! Which containers are to wait. Pure: it knows what tasks used, and what has failed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::super::container::Recipe;
use super::super::image::full_name;
use super::super::settings::Warm;

/// The first pause after a failure. It doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// For this window, which knows no recipe yet: the image with this name is needed.
    Provide { window: usize, image: String },
    /// For this window.
    Make { window: usize, recipe: Recipe },
    /// Nobody wants the container with this index.
    Remove(usize),
    /// Nothing, until something changes or this time has come.
    Rest(Option<Instant>),
}

/// What containers were made from last, for tasks: what the next ones will want.
pub(super) struct Plan {
    size: usize,
    windows: Vec<Window>,
}

/// As many uses as containers wait: of one image, or of all.
struct Window {
    /// Its name in full.
    image: Option<String>,
    /// The last one last.
    uses: VecDeque<Use>,
    failures: u32,
    not_before: Option<Instant>,
}

/// One task's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// The image's name in full.
    pub image: String,
    /// What its container is made from.
    pub recipe: Recipe,
}

impl Plan {
    pub fn new(warm: &Warm) -> Self {
        let window = |image| Window {
            image,
            uses: VecDeque::new(),
            failures: 0,
            not_before: None,
        };
        let images = warm.images.iter().map(|image| Some(full_name(image)));
        let mut windows: Vec<_> = images.map(window).collect();
        if windows.is_empty() {
            windows.push(window(None));
        }
        Self {
            size: warm.containers,
            windows,
        }
    }

    /// Whether no container ever waits.
    pub const fn is_off(&self) -> bool {
        self.size == 0
    }

    /// Whether it knows what to do before the first task comes.
    pub fn names_images(&self) -> bool {
        self.windows.iter().any(|window| window.image.is_some())
    }

    /// A task uses this.
    pub fn used(&mut self, used: &Use) {
        for window in &mut self.windows {
            if window.is_about(&used.image) {
                window.push(used.clone(), self.size);
            }
        }
    }

    /// The Engine has this image no more.
    pub fn forget(&mut self, image: &str) {
        for window in &mut self.windows {
            window.uses.retain(|used| used.recipe.image != image);
        }
    }

    /// What was to be done for this window could not be done. Says whether that is news.
    pub fn failed(&mut self, window: usize, now: Instant) -> bool {
        self.windows
            .get_mut(window)
            .is_some_and(|it| it.failed(now))
    }

    /// Containers of these recipes have ended while they waited, together: that is one failure.
    /// Says whether it is news.
    pub fn died(&mut self, recipes: &[&Recipe], now: Instant) -> bool {
        let mut news = false;
        for window in &mut self.windows {
            if recipes.iter().any(|recipe| window.wants(recipe)) {
                news |= window.failed(now);
            }
        }
        news
    }

    /// A task has taken a container that has waited.
    pub fn taken(&mut self, recipe: &Recipe) {
        for window in self.windows.iter_mut().filter(|it| it.wants(recipe)) {
            window.failures = 0;
        }
    }

    /// What is to be done when these wait. New ones are made before others go.
    pub fn next(&self, waiting: &[&Recipe], now: Instant) -> Next {
        let mut unwanted: Vec<usize> = (0..waiting.len()).collect();
        let mut missing = Vec::new();
        for (number, window) in self.windows.iter().enumerate() {
            for recipe in window.wanted(self.size) {
                match unwanted.iter().position(|&index| waiting[index] == recipe) {
                    Some(position) => drop(unwanted.remove(position)),
                    None => missing.push((number, recipe)),
                }
            }
        }
        let due = |number: usize| self.windows[number].not_before.is_none_or(|at| at <= now);
        if let Some(&(window, recipe)) = missing.iter().find(|(window, _)| due(*window)) {
            let recipe = recipe.clone();
            return Next::Make { window, recipe };
        }
        if let Some(&index) = unwanted.first() {
            return Next::Remove(index);
        }
        self.provide(now).unwrap_or_else(|| {
            let later = self.windows.iter().filter_map(|window| window.not_before);
            Next::Rest(later.filter(|at| *at > now).min())
        })
    }

    fn provide(&self, now: Instant) -> Option<Next> {
        let due = |window: &Window| window.not_before.is_none_or(|at| at <= now);
        let mut windows = self.windows.iter().enumerate();
        windows.find_map(|(number, window)| {
            let image = window.image.as_ref()?;
            (window.uses.is_empty() && due(window)).then(|| Next::Provide {
                window: number,
                image: image.clone(),
            })
        })
    }
}

impl Window {
    fn is_about(&self, image: &str) -> bool {
        self.image.as_ref().is_none_or(|own| own == image)
    }

    fn push(&mut self, used: Use, size: usize) {
        // A name that means another image now never means the old one again.
        self.uses
            .retain(|it| it.image != used.image || it.recipe.image == used.recipe.image);
        self.uses.push_back(used);
        let excess = self.uses.len().saturating_sub(size);
        self.uses.drain(..excess);
    }

    /// One for each use; what is left of the places goes to the last one.
    fn wanted(&self, size: usize) -> impl Iterator<Item = &Recipe> {
        let last = self.uses.back().into_iter();
        let more = size.saturating_sub(self.uses.len());
        let more = last.flat_map(move |used| std::iter::repeat_n(used, more));
        self.uses.iter().chain(more).map(|used| &used.recipe)
    }

    fn wants(&self, recipe: &Recipe) -> bool {
        self.uses.iter().any(|used| used.recipe == *recipe)
    }

    fn failed(&mut self, now: Instant) -> bool {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.not_before = Some(now + pause.min(LONGEST));
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::settings::{Limits, Privileges};
    use super::*;

    fn used(image: &str, id: &str, class: u64) -> Use {
        let limits = Limits {
            memory: Some(class),
            ..Limits::default()
        };
        Use {
            image: full_name(image),
            recipe: Recipe::new(id, limits, "~", &Privileges::default()),
        }
    }

    fn plan(containers: usize, images: &[&str]) -> Plan {
        Plan::new(&Warm {
            containers,
            images: images.iter().map(|&image| image.to_owned()).collect(),
        })
    }

    /// What waits once nothing is left to do.
    fn settled(plan: &Plan, mut waiting: Vec<Recipe>, now: Instant) -> Vec<Recipe> {
        loop {
            match plan.next(&waiting.iter().collect::<Vec<_>>(), now) {
                Next::Make { recipe, .. } => waiting.push(recipe),
                Next::Remove(index) => drop(waiting.remove(index)),
                Next::Provide { .. } | Next::Rest(_) => return waiting,
            }
        }
    }

    #[tokio::test]
    async fn the_uses_of_the_last_tasks_share_the_places() {
        let now = Instant::now();
        let mut plan = plan(2, &[]);
        assert_eq!(plan.next(&[], now), Next::Rest(None));
        let (a, b) = (used("a", "1", 1), used("b", "2", 1));
        plan.used(&a);
        let waiting = settled(&plan, Vec::new(), now);
        assert_eq!(waiting, [a.recipe.clone(), a.recipe.clone()]);
        plan.used(&b);
        let waiting = settled(&plan, waiting, now);
        assert_eq!(waiting, [a.recipe.clone(), b.recipe.clone()]);
        plan.used(&b);
        let waiting = settled(&plan, waiting, now);
        assert_eq!(waiting, [b.recipe.clone(), b.recipe]);
    }

    #[tokio::test]
    async fn images_that_are_named_have_their_places() {
        let now = Instant::now();
        let mut plan = plan(1, &["a", "b"]);
        let needed = |window, image: &str| Next::Provide {
            window,
            image: full_name(image),
        };
        assert_eq!(plan.next(&[], now), needed(0, "a"));
        let (a, b) = (used("a", "1", 1), used("b", "2", 1));
        plan.used(&a);
        plan.used(&used("c", "3", 1));
        let waiting = settled(&plan, Vec::new(), now);
        assert_eq!(waiting, std::slice::from_ref(&a.recipe));
        assert_eq!(plan.next(&[&a.recipe], now), needed(1, "b"));
        plan.used(&b);
        let larger = used("a", "1", 2);
        plan.used(&larger);
        let waiting = settled(&plan, waiting, now);
        assert_eq!(waiting, [larger.recipe, b.recipe]);
    }

    #[tokio::test]
    async fn an_image_that_was_replaced_or_removed_is_forgotten() {
        let now = Instant::now();
        let mut plan = plan(3, &[]);
        plan.used(&used("a", "1", 1));
        let new = used("a", "2", 1);
        plan.used(&new);
        assert_eq!(settled(&plan, Vec::new(), now), vec![new.recipe; 3]);
        plan.forget("2");
        assert_eq!(plan.next(&[], now), Next::Rest(None));
    }

    #[tokio::test]
    async fn what_fails_is_tried_later_and_holds_up_nothing_else() {
        let now = Instant::now();
        let mut plan = plan(1, &["a", "b"]);
        assert!(plan.failed(0, now) && !plan.failed(0, now));
        let Next::Provide { window: 1, .. } = plan.next(&[], now) else {
            panic!("the other one");
        };
        let b = used("b", "2", 1);
        plan.used(&b);
        let Next::Rest(Some(at)) = plan.next(&[&b.recipe], now) else {
            panic!("nothing else is to be done");
        };
        assert_eq!(at - now, FIRST * 2);
        let Next::Provide { window: 0, .. } = plan.next(&[&b.recipe], at) else {
            panic!("now is the time");
        };
        for _ in 0..40 {
            plan.died(&[&b.recipe], at);
        }
        assert_eq!(plan.windows[1].not_before, Some(at + LONGEST));
        plan.taken(&b.recipe);
        assert!(plan.died(&[&b.recipe], at), "it had worked in between");
        assert_eq!(plan.windows[1].not_before, Some(at + FIRST));
        plan.taken(&b.recipe);
        plan.died(&[&b.recipe; 8], at);
        assert_eq!(plan.windows[1].not_before, Some(at + FIRST), "together");
    }
}
