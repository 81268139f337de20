// The committed dashboard as a page: Grafana's own panel components over Prometheus's answers.
import {
  createTheme, dateTime, EventBusSrv, FieldType, getDisplayProcessor,
  getDisplayValueAlignmentFactors, ThemeContext, toDataFrame,
} from '@grafana/data';
import { VizOrientation } from '@grafana/schema';
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, TimeSeries, VizRepeater,
} from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import './page.css';

const theme = createTheme({ colors: { mode: 'dark' } });

// {{label}} in a legend becomes the label's value, as in Grafana.
function seriesName(legend, metric) {
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => metric[name] ?? '');
}

function fieldConfig(panel, name) {
  const { defaults, overrides } = panel.fieldConfig;
  const config = structuredClone(defaults);
  if (config.thresholds) {
    config.thresholds.steps[0].value = -Infinity; // JSON has null for it
  }
  for (const override of overrides) {
    if (override.matcher.id === 'byName' && override.matcher.options === name) {
      for (const { id, value } of override.properties) {
        config[id] = value;
      }
    }
  }
  return config;
}

// One frame a series; a step without a sample is a hole, never a line across.
function framesOf(panel, answers, seconds) {
  const frames = [];
  for (const target of panel.targets) {
    for (const series of answers[panel.id][target.refId]) {
      const at = new Map(series.values.map(([t, v]) => [Math.round(t * 1000), Number(v)]));
      const values = seconds.map((t) => at.get(Math.round(t * 1000)) ?? null);
      const name = seriesName(target.legendFormat, series.metric);
      frames.push({
        name,
        fields: [
          { name: 'Time', type: FieldType.time, config: {}, values: seconds.map((t) => t * 1000) },
          {
            name,
            type: FieldType.number,
            config: { ...fieldConfig(panel, name), displayName: name },
            values: values.map((v) => (Number.isFinite(v) ? v : null)),
          },
        ],
      });
    }
  }
  return frames.map((frame, index) => {
    const made = toDataFrame(frame);
    made.fields.forEach((field, fieldIndex) => {
      field.state = { seriesIndex: index, origin: { frameIndex: index, fieldIndex } };
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    });
    return made;
  });
}

// What `lastNotNull` reduces each series to.
function lastValues(frames) {
  return frames.map((frame) => {
    const field = frame.fields[1];
    const last = field.values.filter((v) => v !== null).at(-1) ?? null;
    return { field, last, display: { ...field.display(last), title: frame.name } };
  });
}

function Stat({ panel, frames, width, height }) {
  const [value] = lastValues(frames);
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  return (
    <BigValue
      {...{ width, height, colorMode, graphMode, justifyMode, textMode, theme }}
      value={{ ...value.display, title: undefined }}
    />
  );
}

function Bars({ panel, frames, width, height }) {
  const values = lastValues(frames).filter((value) => value.last !== null);
  if (values.length === 0) {
    return <div className="empty">{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  }
  const max = Math.max(...values.map((value) => value.last), 1);
  return (
    <VizRepeater
      {...{ width, height }}
      source={frames}
      getValues={() => values}
      getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)}
      renderCounter={0}
      orientation={VizOrientation.Horizontal}
      minVizHeight={panel.options.minVizHeight ?? 16}
      maxVizHeight={panel.options.maxVizHeight ?? 300}
      itemSpacing={10}
      renderValue={({ value, width: w, height: h, alignmentFactors }) => (
        <BarGauge
          width={w}
          height={h}
          theme={theme}
          field={{ ...value.field.config, max }}
          display={value.field.display}
          value={value.display}
          orientation={VizOrientation.Horizontal}
          displayMode={panel.options.displayMode}
          alignmentFactors={alignmentFactors}
          itemSpacing={10}
          text={panel.options.text}
          showUnfilled={true}
          valueDisplayMode="color"
        />
      )}
    />
  );
}

function Lines({ panel, frames, width, height, timeRange }) {
  return (
    <TimeSeries
      {...{ frames, width, height, timeRange }}
      timeZone="utc"
      legend={panel.options.legend}
    />
  );
}

const SHAPES = { stat: Stat, bargauge: Bars, timeseries: Lines };

// The label of a minute at the right edge would be cut off: end 20 to 50 s after one.
function shownUntil(end) {
  const past = end % 60;
  return end + (past < 20 ? 20 - past : past > 50 ? 80 - past : 0);
}

function Dashboard({ board, told, placed }) {
  const to = dateTime(shownUntil(told.end) * 1000);
  const range = { from: dateTime(told.start * 1000), to };
  const timeRange = { ...range, raw: range };
  const seconds = [];
  for (let t = told.start; t <= told.end; t += told.step) {
    seconds.push(t);
  }
  return (
    <main style={{ width: placed.width, height: placed.height }}>
      <header>
        <h1>{board.title}</h1>
        <p>{told.caption}</p>
      </header>
      {placed.rows.map((row) => (
        <h2 key={row.title} style={{ top: row.top }}>
          <span>{row.open ? '▾' : '▸'}</span> {row.title}
          {!row.open && <em> ({row.count} panels)</em>}
        </h2>
      ))}
      {placed.panels.map(({ panel, top, left, width, height }) => {
        const Shape = SHAPES[panel.type];
        const frames = framesOf(panel, told.answers, seconds);
        return (
          <div key={panel.id} style={{ left, top }}>
            <PanelChrome title={panel.title} width={width} height={height}>
              {(w, h) => <Shape {...{ panel, frames, timeRange }} width={w} height={h} />}
            </PanelChrome>
          </div>
        );
      })}
    </main>
  );
}

Date.now = () => window.told.end * 1000; // "3 seconds ago" is of the replay, not of the drawing
document.body.style.background = theme.colors.background.canvas;
const context = { eventBus: new EventBusSrv(), eventsScope: 'picture' };
// The components measure text: the font must be there first.
Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 14px Inter`))).then(() => {
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <Dashboard board={window.board} told={window.told} placed={window.placed} />
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
});
