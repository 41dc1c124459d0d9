import type { ReportData } from './data.js';
export const reportHtml = (data: ReportData): string => JSON.stringify(data, null, 1);
