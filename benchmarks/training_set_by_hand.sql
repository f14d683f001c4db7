-- The features of the training-set benchmark as an engineer writes them by hand for DuckDB. A shopper has few events,
-- so that each row is joined to those before it. A product has too many for that, and gets running totals, of which
-- ASOF joins find those at both ends of each window: two thirds of the time of a window function per feature over
-- events and rows in one relation. Times are microseconds since the epoch, because arithmetic on times with a timezone
-- is slow. Days are those of UTC; windows slide by them, but those of one day by the hour.
-- Tables: events and items (the lake's), frame (__row, user_id, item_id, __as_of_us).

CREATE TEMP MACRO day_us() AS 86400000000;

CREATE TEMP TABLE moments AS
SELECT __row, user_id, item_id, __as_of_us AS t, __as_of_us // day_us() * day_us() AS day FROM frame;

CREATE TEMP TABLE of_user AS
SELECT
    __row,
    count(*) FILTER (type = 'purchase' AND ts >= day - 7 * day_us()) AS u_buys_7d,
    count(*) FILTER (type = 'purchase' AND ts >= day - 28 * day_us()) AS u_buys_28d,
    count(*) FILTER (type = 'purchase' AND ts >= day - 90 * day_us()) AS u_buys_90d,
    count(*) FILTER (type = 'purchase') AS u_buys,
    count(*) FILTER (type = 'view' AND ts >= day - 7 * day_us()) AS u_looks_7d,
    count(*) FILTER (type = 'view' AND ts >= day - 28 * day_us()) AS u_looks_28d,
    count(*) FILTER (type = 'cart_add' AND ts >= day - 7 * day_us()) AS u_carts_7d,
    sum(value) FILTER (type = 'purchase' AND ts >= day - 28 * day_us()) AS u_spend_28d,
    sum(value) FILTER (type = 'purchase' AND ts >= day - 90 * day_us()) AS u_spend_90d,
    sum(value) FILTER (type = 'purchase') AS u_spend,
    avg(value) FILTER (type = 'purchase' AND ts >= day - 90 * day_us()) AS u_basket_90d,
    stddev_pop(value) FILTER (type = 'purchase' AND ts >= day - 90 * day_us()) AS u_spread_90d,
    max(price) FILTER (type = 'purchase' AND ts >= day - 90 * day_us()) AS u_dearest_90d,
    any_value(t) - max(ts) FILTER (type = 'purchase') AS u_us_since_buy,
    count(DISTINCT e.item_id) FILTER (type = 'view' AND ts >= day - 28 * day_us()) AS u_items_28d,
    sum(pow(0.5, (day // day_us() - ts // day_us()) / 60.0)) FILTER (type = 'purchase') AS u_decayed_buys
FROM moments
JOIN (
    SELECT user_id, epoch_us(occurred_at) AS ts, type, value, price, item_id FROM events
    WHERE type IN ('purchase', 'view', 'cart_add')
) AS e USING (user_id)
WHERE ts < t
GROUP BY __row;

CREATE TEMP TABLE item_running AS
SELECT
    item_id,
    ts,
    count(*) FILTER (type = 'view') OVER upto AS looks,
    count(*) FILTER (type = 'cart_add') OVER upto AS carts,
    count(*) FILTER (type = 'purchase') OVER upto AS buys,
    sum(value) FILTER (type = 'purchase') OVER upto AS revenue,
    sum(price) FILTER (type = 'purchase') OVER upto AS prices,
    max(ts) FILTER (type = 'purchase') OVER upto AS bought_at,
    min(ts) FILTER (type = 'view') OVER upto AS first_seen_at
FROM (
    SELECT item_id, epoch_us(occurred_at) AS ts, type, value, price FROM events
    WHERE type IN ('purchase', 'view', 'cart_add') AND item_id IN (SELECT item_id FROM moments)
)
WINDOW upto AS (PARTITION BY item_id ORDER BY ts);

CREATE TEMP TABLE of_item AS
SELECT
    __row,
    coalesce(now.looks, 0) - coalesce(d1.looks, 0) AS i_looks_1d,
    coalesce(now.looks, 0) - coalesce(d7.looks, 0) AS i_looks_7d,
    coalesce(now.looks, 0) - coalesce(d28.looks, 0) AS i_looks_28d,
    coalesce(now.carts, 0) - coalesce(d7.carts, 0) AS i_carts_7d,
    coalesce(now.buys, 0) - coalesce(d1.buys, 0) AS i_buys_1d,
    coalesce(now.buys, 0) - coalesce(d7.buys, 0) AS i_buys_7d,
    coalesce(now.buys, 0) - coalesce(d28.buys, 0) AS i_buys_28d,
    coalesce(now.buys, 0) AS i_buys,
    coalesce(now.revenue, 0) - coalesce(d28.revenue, 0) AS i_revenue_28d,
    (now.prices - coalesce(d28.prices, 0)) / nullif(i_buys_28d, 0) AS i_price_28d,
    t - now.bought_at AS i_us_since_buy,
    t - now.first_seen_at AS i_us_since_first
FROM moments AS m
ASOF LEFT JOIN item_running AS now ON m.item_id = now.item_id AND m.t > now.ts
ASOF LEFT JOIN item_running AS d1
    ON m.item_id = d1.item_id AND m.t - m.t % (day_us() // 24) - day_us() > d1.ts
ASOF LEFT JOIN item_running AS d7 ON m.item_id = d7.item_id AND m.day - 7 * day_us() > d7.ts
ASOF LEFT JOIN item_running AS d28 ON m.item_id = d28.item_id AND m.day - 28 * day_us() > d28.ts;

-- Neither a smallest price nor a number of buyers is the difference of two running totals. Only purchases have these,
-- an eighth of the events.
CREATE TEMP TABLE item_ranges AS
SELECT __row, i_cheapest_90d, i_buyers_28d FROM (
    SELECT
        __row,
        min(price) OVER (PARTITION BY item_id ORDER BY ts RANGE BETWEEN b90 PRECEDING AND 1 PRECEDING) AS i_cheapest_90d,
        count(DISTINCT user_id) OVER (
            PARTITION BY item_id ORDER BY ts RANGE BETWEEN b28 PRECEDING AND 1 PRECEDING
        ) AS i_buyers_28d
    FROM (
        SELECT item_id, epoch_us(occurred_at) AS ts, user_id, price, NULL AS __row, CAST(0 AS BIGINT) AS b28,
            CAST(0 AS BIGINT) AS b90
        FROM events WHERE type = 'purchase' AND item_id IN (SELECT item_id FROM moments)
        UNION ALL
        SELECT item_id, t, NULL, NULL, __row, t - day + 28 * day_us(), t - day + 90 * day_us() FROM moments
    )
)
WHERE __row IS NOT NULL;

CREATE TEMP TABLE item_decayed AS
SELECT __row, sum(n * pow(0.5, (moments.day - e.day) // day_us() / 30.0)) AS before
FROM moments
JOIN (
    SELECT item_id, epoch_us(occurred_at) // day_us() * day_us() AS day, count(*) AS n FROM events
    WHERE type = 'purchase' GROUP BY ALL
) AS e USING (item_id)
WHERE e.day < moments.day
GROUP BY __row;

CREATE TEMP TABLE item_today AS
SELECT __row, count(*) AS today
FROM moments JOIN (
    SELECT item_id, epoch_us(occurred_at) AS ts, epoch_us(occurred_at) // day_us() * day_us() AS day FROM events WHERE type = 'purchase'
) AS e ON moments.item_id = e.item_id AND e.day = moments.day AND ts < t
GROUP BY __row;

CREATE TEMP TABLE of_both AS
SELECT
    __row,
    count(*) FILTER (type = 'purchase') AS ui_buys,
    count(*) FILTER (type = 'view' AND ts >= day - 28 * day_us()) AS ui_looks_28d,
    sum(value) FILTER (type = 'purchase') AS ui_spend,
    any_value(t) - max(ts) FILTER (type = 'view') AS ui_us_since_look,
    any_value(t) - max(ts) FILTER (type = 'purchase') AS ui_us_since_buy,
    max(ts) FILTER (type = 'purchase') - min(ts) FILTER (type = 'purchase') AS ui_us_between
FROM moments
JOIN (
    SELECT user_id, item_id, epoch_us(occurred_at) AS ts, type, value FROM events WHERE type IN ('purchase', 'view')
) USING (user_id, item_id)
WHERE ts < t
GROUP BY __row;

CREATE TEMP TABLE profile AS
SELECT __row, i.price, i.available
FROM moments ASOF LEFT JOIN (SELECT *, epoch_us(updated_at) AS at_us FROM items) AS i ON moments.item_id = i.item_id AND t >= i.at_us;

CREATE TEMP TABLE answer AS
SELECT
    __row,
    user_id,
    item_id,
    coalesce(u_buys_7d, 0) AS u_buys_7d,
    coalesce(u_buys_28d, 0) AS u_buys_28d,
    coalesce(u_buys_90d, 0) AS u_buys_90d,
    coalesce(u_buys, 0) AS u_buys,
    coalesce(u_looks_7d, 0) AS u_looks_7d,
    coalesce(u_looks_28d, 0) AS u_looks_28d,
    coalesce(u_carts_7d, 0) AS u_carts_7d,
    coalesce(u_spend_28d, 0) AS u_spend_28d,
    coalesce(u_spend_90d, 0) AS u_spend_90d,
    coalesce(u_spend, 0) AS u_spend,
    coalesce(u_basket_90d, 'nan') AS u_basket_90d,
    coalesce(u_spread_90d, 'nan') AS u_spread_90d,
    coalesce(u_dearest_90d, 'nan') AS u_dearest_90d,
    coalesce(u_us_since_buy / 86400e6, 'nan') AS u_days_since_buy,
    coalesce(u_items_28d, 0) AS u_items_28d,
    coalesce(u_decayed_buys, 0) AS u_decayed_buys,
    i_looks_1d,
    i_looks_7d,
    i_looks_28d,
    i_carts_7d,
    i_buys_1d,
    i_buys_7d,
    i_buys_28d,
    i_buys,
    coalesce(i_revenue_28d, 0) AS i_revenue_28d,
    coalesce(i_price_28d, 'nan') AS i_price_28d,
    coalesce(i_cheapest_90d, 'nan') AS i_cheapest_90d,
    i_buyers_28d,
    CASE WHEN i_looks_7d = 0 THEN 'nan' ELSE CAST(i_buys_7d AS DOUBLE) / i_looks_7d END AS i_conversion_7d,
    coalesce(i_us_since_buy / 86400e6, 'nan') AS i_days_since_buy,
    coalesce(i_us_since_first / 86400e6, 'nan') AS i_days_since_first,
    coalesce(before, 0) + coalesce(today, 0) AS i_decayed_buys,
    coalesce(ui_buys, 0) AS ui_buys,
    coalesce(ui_looks_28d, 0) AS ui_looks_28d,
    coalesce(ui_spend, 0) AS ui_spend,
    coalesce(ui_us_since_look / 86400e6, 'nan') AS ui_days_since_look,
    coalesce(ui_us_since_buy / 86400e6, 'nan') AS ui_days_since_buy,
    CASE WHEN ui_buys > 1 THEN ui_us_between / (ui_buys - 1) / 86400e6 ELSE 'nan' END AS ui_rhythm,
    price,
    available
FROM moments
LEFT JOIN of_user USING (__row)
LEFT JOIN of_item USING (__row)
LEFT JOIN item_ranges USING (__row)
LEFT JOIN item_decayed USING (__row)
LEFT JOIN item_today USING (__row)
LEFT JOIN of_both USING (__row)
LEFT JOIN profile USING (__row)
ORDER BY __row;
