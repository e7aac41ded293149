//! What a specification means for the state: which accumulators there are, how rows feed them, and how groups rank.

use catchment_contract::Diff;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt64Array};
use catchment_contract::arrow::buffer::NullBuffer;
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::{DataType, Int64Type, UInt64Type};
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_engine::{Updates, flatten};
use smallvec::SmallVec;

use super::TopGroupsSpec;
use super::counts::Counts;
use crate::aggregate::{Aggregate, Function};
use crate::key_table::flat_type;
use crate::top_k::Order;

/// The aggregates of a group; [`NULL`] for those that are null.
pub(super) type Values = SmallVec<[i128; 1]>;

/// All things to rank a group by beside its keys; the less, the nearer to the front.
pub(super) type Scores = SmallVec<[i128; 2]>;

/// In place of a null aggregate; no sum is that small.
pub(super) const NULL: i128 = i128::MIN;

/// Where an aggregate is found in a group's accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The count of rows.
    Rows,
    /// A lane that counts.
    Count { lane: usize },
    /// A lane that sums, and in front of it one that counts the values.
    Sum { count: usize },
}

/// See the module's documentation.
pub(super) struct Plan {
    aggregates: Vec<Aggregate>,
    sources: Vec<Source>,
    /// Accumulators beside the count of rows.
    pub lanes: usize,
    /// The order's aggregates, by their number among the aggregates.
    pub order: Vec<Order>,
    /// Partition key columns of the input.
    pub partition: Vec<usize>,
    /// The other key columns of the input, most significant for the order first.
    pub rest: Vec<usize>,
    /// How the other keys are encoded.
    pub rest_fields: Vec<SortField>,
    /// The output column of each partition key and of each other key.
    pub partition_out: Vec<usize>,
    pub rest_out: Vec<usize>,
}

/// Groups kept of a partition at most: more are for `top_k`, which does not sort them anew every time.
const KEPT_MAX: usize = 4096;

impl Plan {
    /// The plan for `spec`; none if it does not fit.
    pub(super) fn of(spec: &TopGroupsSpec) -> Option<Plan> {
        let TopGroupsSpec { aggregate, top } = spec;
        let keys = aggregate.keys.len();
        if top.types.len() != keys + aggregate.aggregates.len() || top.partition.iter().any(|column| *column >= keys) {
            return None;
        }
        if top.offset.checked_add(top.limit).is_none_or(|kept| kept > KEPT_MAX) {
            return None;
        }
        // Aggregates decide first, then all other keys; behind those nothing is left to decide.
        let full = top.full_order();
        let aggregates_in_front = full.iter().take_while(|order| order.column >= keys).count();
        let (order, rest) = full.split_at(aggregates_in_front);
        let rest_len = rest.iter().take_while(|order| order.column < keys).count();
        let rest = &rest[..rest_len];
        let all_rest = (0..keys).filter(|column| !top.partition.contains(column)).count();
        if rest.is_empty() || rest_len != all_rest {
            return None;
        }
        let (mut sources, mut lanes) = (Vec::new(), 0);
        for one in &aggregate.aggregates {
            let (source, more) = source_of(one, &aggregate.input_types, lanes)?;
            sources.push(source);
            lanes += more;
        }
        let type_of = |column: usize| aggregate.input_types.get(aggregate.keys[column]);
        let rest_fields =
            rest.iter().map(|order| Some(order.field(type_of(order.column)?))).collect::<Option<Vec<_>>>()?;
        let partition_types = top.partition.iter().map(|column| Some(SortField::new(flat_type(type_of(*column)?))));
        let supported = RowConverter::supports_fields(&rest_fields)
            && RowConverter::supports_fields(&partition_types.collect::<Option<Vec<_>>>()?);
        supported.then(|| Plan {
            aggregates: aggregate.aggregates.clone(),
            sources,
            lanes,
            order: order.iter().map(|order| Order { column: order.column - keys, ..*order }).collect(),
            partition: top.partition.iter().map(|column| aggregate.keys[*column]).collect(),
            rest: rest.iter().map(|order| aggregate.keys[order.column]).collect(),
            rest_fields,
            partition_out: top.partition.clone(),
            rest_out: rest.iter().map(|order| order.column).collect(),
        })
    }

    /// The aggregates of the group in `slot`. What the output type cannot hold is null.
    pub(super) fn values(&self, counts: &Counts, slot: usize) -> Values {
        let value = |(source, aggregate): (&Source, &Aggregate)| {
            let value = match source {
                Source::Rows => counts.rows(slot),
                Source::Count { lane } => counts.lane(*lane, slot),
                Source::Sum { count } if counts.lane(*count, slot) > 0 => counts.lane(count + 1, slot),
                Source::Sum { .. } => return NULL,
            };
            let fits = match aggregate.output {
                DataType::UInt64 => u64::try_from(value).is_ok(),
                // A sum of 64-bit integers has fewer digits than these.
                DataType::Decimal128(38, 0) => true,
                _ => i64::try_from(value).is_ok(),
            };
            if fits { value } else { NULL }
        };
        self.sources.iter().zip(&self.aggregates).map(value).collect()
    }

    /// The first thing to rank by, as a number: the less, the nearer to the front.
    #[inline]
    pub(super) fn score(&self, counts: &Counts, slot: usize) -> i128 {
        match self.order.first() {
            None => 0,
            Some(order) if self.sources[order.column] == Source::Rows => directed(order, counts.rows(slot)),
            Some(order) => directed(order, self.values(counts, slot)[order.column]),
        }
    }

    /// All things to rank by beside the keys.
    pub(super) fn scores(&self, values: &Values) -> Scores {
        self.order.iter().map(|order| directed(order, values[order.column])).collect()
    }

    /// The types of the aggregates' columns.
    pub(super) fn output_types(&self) -> impl Iterator<Item = &DataType> {
        self.aggregates.iter().map(|aggregate| &aggregate.output)
    }

    /// How the rows of `updates` feed the lanes; nothing where the count of rows is all there is to keep.
    pub(super) fn feeds(&self, updates: &Updates) -> Vec<Feed> {
        let feed = |(source, aggregate): (&Source, &Aggregate)| {
            let input = || aggregate.input.map(|input| flatten(updates.column(input)));
            let filter = aggregate.filter.map(|filter| flatten(updates.column(filter)).as_boolean().clone());
            match source {
                Source::Rows => None,
                Source::Count { lane } => {
                    let nulls = input().and_then(|input| input.logical_nulls());
                    Some(Feed { lane: *lane, filter, nulls, numbers: None })
                }
                Source::Sum { count } => {
                    let input = input()?;
                    let nulls = input.logical_nulls();
                    Some(Feed { lane: *count, filter, nulls, numbers: Some(Numbers::of(&input)) })
                }
            }
        };
        self.sources.iter().zip(&self.aggregates).filter_map(feed).collect()
    }
}

/// Where `aggregate` is kept, and the lanes it takes; none if it does not fit.
fn source_of(aggregate: &Aggregate, types: &[DataType], lanes: usize) -> Option<(Source, usize)> {
    let output_fits = matches!(aggregate.output, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(38, 0));
    let input = aggregate.input.map(|input| types.get(input).map(flat_type));
    if aggregate.distinct || !output_fits || input == Some(None) {
        return None;
    }
    match (aggregate.function, input.flatten()) {
        (Function::CountRows, _) if aggregate.filter.is_none() => Some((Source::Rows, 0)),
        (Function::CountRows, _) => Some((Source::Count { lane: lanes }, 1)),
        (Function::Count, Some(_)) => Some((Source::Count { lane: lanes }, 1)),
        (Function::Sum, Some(input)) if input.is_integer() => Some((Source::Sum { count: lanes }, 2)),
        _ => None,
    }
}

/// `value` in the direction of `order`, nulls at the end that it says.
fn directed(order: &Order, value: i128) -> i128 {
    match value {
        NULL if order.nulls_first => i128::MIN,
        NULL => i128::MAX,
        value if order.descending => -value,
        value => value,
    }
}

/// How one container's rows feed one aggregate.
pub(super) struct Feed {
    lane: usize,
    filter: Option<BooleanArray>,
    nulls: Option<NullBuffer>,
    numbers: Option<Numbers>,
}

enum Numbers {
    Signed(Int64Array),
    Unsigned(UInt64Array),
}

impl Numbers {
    fn of(column: &ArrayRef) -> Numbers {
        let widened = |to: &DataType| cast(column, to).expect("integers can be widened");
        match column.data_type() {
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Numbers::Unsigned(widened(&DataType::UInt64).as_primitive::<UInt64Type>().clone())
            }
            _ => Numbers::Signed(widened(&DataType::Int64).as_primitive::<Int64Type>().clone()),
        }
    }
}

impl Feed {
    /// Adds row `row` with `diff` to the group in `slot`.
    pub(super) fn add(&self, counts: &mut Counts, slot: usize, row: usize, diff: Diff) {
        let passes = self.filter.as_ref().is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        if !passes || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return;
        }
        counts.add(self.lane, slot, diff.into());
        let number = match &self.numbers {
            None => return,
            Some(Numbers::Signed(numbers)) => i128::from(numbers.value(row)),
            Some(Numbers::Unsigned(numbers)) => i128::from(numbers.value(row)),
        };
        counts.add(self.lane + 1, slot, number * i128::from(diff));
    }
}
